package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
)

// counted keeps what was recorded.
type counted struct {
	mu       sync.Mutex
	requests []string
	panics   int
}

func (c *counted) Request(endpoint, grant string, status int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, fmt.Sprintf("%s %s %d", endpoint, grant, status))
}

func (c *counted) Panic(string) { c.panics++ }

func endpoint(handle func(http.ResponseWriter, *http.Request, *Exchange) error, log io.Writer) (*Endpoint, *counted) {
	c := &counted{}
	logger := funcr.NewJSON(func(line string) { fmt.Fprintln(log, line) }, funcr.Options{Verbosity: 1})
	return &Endpoint{
		Name: "test", Methods: []string{http.MethodGet, http.MethodPost}, Handle: handle, WriteError: WritePlainError,
		Recorder: c, Log: logger, Now: time.Now,
	}, c
}

func TestEndpoint(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request, x *Exchange) error {
		if _, err := ReadBody(w, r); err != nil {
			return err
		}
		x.Grant = "some"
		WriteJSON(w, http.StatusOK, map[string]string{"a": "b"})
		return nil
	}
	fail := func(err error) func(http.ResponseWriter, *http.Request, *Exchange) error {
		return func(http.ResponseWriter, *http.Request, *Exchange) error { return err }
	}
	type want struct {
		Status  int
		Body    string
		Headers map[string]string
		Counted string
	}
	cases := map[string]struct {
		reason string
		handle func(http.ResponseWriter, *http.Request, *Exchange) error
		method string
		target string
		body   io.Reader
		header http.Header
		want   want
	}{
		"A request within all limits is answered": {
			reason: "the middleware must not be in the way",
			handle: answer,
			want:   want{Status: 200, Body: `{"a":"b"}`, Counted: "test some 200"},
		},
		"Another method is refused with what is allowed": {
			reason: "RFC 9110, section 15.5.6: Allow must be there",
			handle: answer, method: http.MethodDelete,
			want: want{
				Status: 405, Body: `{"error":"unsupported","error_description":"the method is not allowed here"}`,
				Headers: map[string]string{"Allow": "GET,POST"}, Counted: "test none 405",
			},
		},
		"A panic is a 500 that says nothing": {
			reason: "what went wrong inside is not for the client",
			handle: func(http.ResponseWriter, *http.Request, *Exchange) error { panic("the secret is 42") },
			want:   want{Status: 500, Body: `{"error":"server_error","error_description":"internal error"}`, Counted: "test none 500"},
		},
		"An error of no known kind is a 500 that says nothing": {
			reason: "an error's text may hold a private cause",
			handle: fail(errors.New("dial 10.0.0.1")),
			want:   want{Status: 500, Body: `{"error":"server_error","error_description":"internal error"}`, Counted: "test none 500"},
		},
		"The cause of an error stays inside": {
			reason: "message and cause are different fields",
			handle: fail(&Error{Status: 503, Code: "x", Message: "later", Cause: errors.New("dial 10.0.0.1"), RetryAfter: 1500 * time.Millisecond}),
			want: want{
				Status: 503, Body: `{"error":"x","error_description":"later"}`,
				Headers: map[string]string{"Retry-After": "2"}, Counted: "test none 503",
			},
		},
		"An announced body past the limit is refused unread": {
			reason: "the size is bounded before anything is read",
			handle: answer, method: http.MethodPost, body: bytes.NewReader(make([]byte, MaxBody+1)),
			want: want{Status: 413, Body: `{"error":"invalid_request","error_description":"the body is larger than 64 KiB"}`, Counted: "test none 413"},
		},
		"A body of unknown length is cut off at the limit": {
			reason: "a chunked body announces nothing",
			handle: answer, method: http.MethodPost, body: io.MultiReader(bytes.NewReader(make([]byte, MaxBody+1))),
			want: want{Status: 413, Body: `{"error":"invalid_request","error_description":"the body is larger than 64 KiB"}`, Counted: "test none 413"},
		},
		"A header past the limit is refused": {
			reason: "what has to be kept per request is bounded",
			handle: answer, header: http.Header{"X-Long": {strings.Repeat("a", MaxHeader)}},
			want: want{Status: 431, Body: `{"error":"invalid_request","error_description":"the header is larger than 16 KiB"}`, Counted: "test none 431"},
		},
		"A target past the limit is refused": {
			reason: "what has to be parsed is bounded",
			handle: answer, target: "/?a=" + strings.Repeat("a", MaxBody),
			want: want{Status: 414, Body: `{"error":"invalid_request","error_description":"the request target is longer than 64 KiB"}`, Counted: "test none 414"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, counted := endpoint(tc.handle, io.Discard)
			method, target := tc.method, tc.target
			if method == "" {
				method = http.MethodGet
			}
			if target == "" {
				target = "/"
			}
			r := httptest.NewRequest(method, target, tc.body)
			for name, values := range tc.header {
				r.Header[name] = values
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			got := want{Status: w.Code, Body: strings.TrimSpace(w.Body.String()), Counted: strings.Join(counted.requests, ";")}
			for name := range tc.want.Headers {
				if got.Headers == nil {
					got.Headers = map[string]string{}
				}
				got.Headers[name] = strings.Join(w.Header().Values(name), ",")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAPanicIsLoggedAndCounted(t *testing.T) {
	var log bytes.Buffer
	p, counted := endpoint(func(http.ResponseWriter, *http.Request, *Exchange) error { panic("boom") }, &log)
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if counted.panics != 1 || !strings.Contains(log.String(), "boom") {
		t.Errorf("panics = %d, log = %s", counted.panics, log.String())
	}
}

func TestAnErrorAfterTheAnswerBeganBreaksTheConnection(t *testing.T) {
	p, _ := endpoint(func(w http.ResponseWriter, _ *http.Request, _ *Exchange) error {
		w.WriteHeader(http.StatusOK)
		return errors.New("too late")
	}, io.Discard)
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // the sentinel itself is the contract with net/http
			t.Errorf("recovered %v, want http.ErrAbortHandler: an answer that began well must not end as if it were whole", got)
		}
	}()
	p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestARequestIDOfTheClientIsNotTrusted(t *testing.T) {
	p, _ := endpoint(func(w http.ResponseWriter, _ *http.Request, x *Exchange) error {
		WriteJSON(w, http.StatusOK, map[string]string{"id": x.ID})
		return nil
	}, io.Discard)
	seen := map[string]bool{}
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", "mine")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		var body map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		id := body["id"]
		if len(id) != 32 || seen[id] || w.Header().Get("X-Request-Id") != id {
			t.Errorf("id = %q, header = %q", id, w.Header().Get("X-Request-Id"))
		}
		seen[id] = true
	}
}
