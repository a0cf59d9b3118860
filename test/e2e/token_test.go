//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// token is what the token endpoint gave, with what it says about itself: those who verify are elsewhere.
type token struct {
	text    string
	keyID   string
	expires time.Time
}

// errNoKey says that the server had no key that may sign at present.
var errNoKey = errors.New("no key may sign")

// ask gets a token from a server, or from the one that the balancer chooses.
func ask(ctx context.Context, server string, k signingKey) (token, error) {
	q := url.Values{"service": {k.audience()}, "scope": {"repository:" + repository + ":pull"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/token?"+q.Encode(), http.NoBody)
	if err != nil {
		return token{}, err
	}
	resp, err := oneByOne.Do(req)
	if err != nil {
		return token{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"token"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return token{}, fmt.Errorf("read the answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable:
		return token{}, fmt.Errorf("%w: %s", errNoKey, strings.TrimSpace(string(body)))
	default:
		return token{}, fmt.Errorf("the token endpoint answers %s: %s", resp.Status, body)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return token{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	return parse(answer.Token)
}

func parse(text string) (token, error) {
	var header struct {
		KeyID string `json:"kid"`
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return token{}, errors.New("the token is not a compact JWS")
	}
	for i, into := range []any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return token{}, fmt.Errorf("decode the token: %w", err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			return token{}, fmt.Errorf("decode the token: %w", err)
		}
	}
	return token{text: text, keyID: header.KeyID, expires: time.Unix(claims.Expires, 0)}, nil
}
