package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer bounds an answer of the authorization server in bytes.
	maxAnswer = 1 << 20
	// maxOutgoing is how many requests to it are under way.
	maxOutgoing = 64
	// maxForStrangers is how many of them are for what anybody can cause, tickets and look-ups, so that tokens still are verified.
	maxForStrangers = 32
)

// authority is the authorization server.
type authority struct {
	client  *http.Client
	timeout time.Duration
	slots   chan struct{}
	// strangers are the slots of those whose token was not verified.
	strangers chan struct{}
}

func newAuthority(config *Config) *authority {
	client := *config.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &authority{
		client: &client, timeout: config.Timeout, slots: make(chan struct{}, maxOutgoing), strangers: make(chan struct{}, maxForStrangers),
	}
}

// forStranger runs what anybody can cause, so many at once.
func (a *authority) forStranger(ctx context.Context, run func() error) error {
	wait, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.strangers <- struct{}{}:
		defer func() { <-a.strangers }()
		return run()
	case <-wait.Done():
		return fmt.Errorf("%d other tickets and look-ups are under way", maxForStrangers)
	}
}

// refusal is an answer of the authorization server with another status than expected.
type refusal struct {
	what   string
	status int
	// code is the answer's error, if that is one word.
	code string
}

func (r *refusal) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s: the authorization server answered %d %s", r.what, r.status, r.code), " ")
}

func (a *authority) get(ctx context.Context, what, from, bearer string, into any) error {
	return a.send(ctx, what, http.StatusOK, into, func(ctx context.Context) (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
		if err == nil && bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		return request, err
	})
}

// postForm posts to an endpoint of OAuth; prove puts in who asks.
func (a *authority) postForm(ctx context.Context, what, to string, form url.Values, prove func(*http.Request), into any) error {
	return a.send(ctx, what, http.StatusOK, into, func(ctx context.Context) (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
		if err == nil {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			prove(request)
		}
		return request, err
	})
}

func (a *authority) postJSON(ctx context.Context, what, to, bearer string, body []byte, into any) error {
	return a.send(ctx, what, http.StatusCreated, into, func(ctx context.Context) (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(string(body)))
		if err == nil {
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		return request, err
	})
}

// send makes and sends one request, and reads the JSON of the answer. Errors say what was wanted, and nothing of what was sent.
func (a *authority) send(ctx context.Context, what string, want int, into any, make func(context.Context) (*http.Request, error)) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %d other requests to the authorization server are under way", what, maxOutgoing)
	}
	request, err := make(ctx)
	if err != nil {
		return fmt.Errorf("%s: the request cannot be made", what)
	}
	request.Header.Set("Accept", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, cause(err))
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: read the answer: %w", what, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("%s: the answer has more than %d bytes", what, maxAnswer)
	case response.StatusCode != want:
		return &refusal{what: what, status: response.StatusCode, code: codeOf(body)}
	}
	if json.Unmarshal(body, into) != nil {
		// The library's error could quote what it read.
		return fmt.Errorf("%s: the answer is not JSON of the form that is expected", what)
	}
	return nil
}

// cause is the error without the URL, whose query has the path that a client asked for.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// codeOf is the error code of RFC 6749, section 5.2; nothing if it is not a short word.
func codeOf(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Error) > 64 {
		return ""
	}
	if strings.ContainsFunc(answer.Error, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return ""
	}
	return answer.Error
}
