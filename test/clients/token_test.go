//go:build e2e

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// effectLimit is how soon after a revocation was stored every server refuses the token.
const effectLimit = time.Second

// answer is what a server said.
type answer struct {
	status       int
	RefreshToken string `json:"refresh_token"`
}

// login logs alice in as docker does.
func (s *scene) login(ctx context.Context, server string) (answer, error) {
	q := url.Values{"service": {audience}, "account": {"alice"}, "client_id": {"docker"}, "offline_token": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/token?"+q.Encode(), http.NoBody)
	if err != nil {
		return answer{}, err
	}
	req.SetBasicAuth("alice", s.password)
	return do(req)
}

// post sends a form, as alice if there is a password.
func post(ctx context.Context, to string, form url.Values, password string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if password != "" {
		req.SetBasicAuth("alice", password)
	}
	return do(req)
}

// curious asks what is not a stock client's to ask.
var curious = &http.Client{Timeout: 10 * time.Second}

func do(req *http.Request) (answer, error) {
	resp, err := curious.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	a := answer{status: resp.StatusCode}
	if len(body) == 0 { // RFC 7009
		return a, nil
	}
	err = json.Unmarshal(body, &a)
	return a, err
}

// revokeAtAServer takes a refresh token back as its owner may (RFC 7009).
func (s *scene) revokeAtAServer(ctx context.Context, token string) error {
	a, err := post(ctx, s.Servers[0].URL+"/revoke", url.Values{"token": {token}}, s.password)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("the revocation was answered with %d", a.status)
	}
	return err
}

// revokeByObject takes a refresh token back as an administrator does.
func (s *scene) revokeByObject(ctx context.Context, token string) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(token, "twr_"), ".")
	return s.Cluster.Apply(ctx, fmt.Sprintf(`
apiVersion: tokenwright.dev/v1alpha1
kind: TokenRevocation
metadata: {name: token-%s, namespace: %s}
spec: {token: {id: %s}}
`, id, stage.SystemNamespace, id))
}

// isRefused waits until every server refuses the refresh token.
func (s *scene) isRefused(ctx context.Context, token string) error {
	form := url.Values{"grant_type": {"refresh_token"}, "service": {audience}, "client_id": {"docker"}, "refresh_token": {token}}
	return stage.Eventually(ctx, effectLimit, func() error {
		for _, server := range s.URLs() {
			if a, err := post(ctx, server+"/token", form, ""); err != nil || a.status != http.StatusUnauthorized {
				return fmt.Errorf("%s answers the revoked refresh token with %d: %w", server, a.status, err)
			}
		}
		return nil
	})
}
