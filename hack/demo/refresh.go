package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// refreshTokens is a refresh token from its birth to its end: alice gets one for her password, a stock client works with it
// and without the password, she revokes it at one server, and the other refuses it, too.
func (d *demo) refreshTokens(ctx context.Context) error {
	token, err := d.refreshToken(ctx)
	if err != nil {
		return err
	}
	client, err := d.identityToken("alice-refresh", token)
	if err != nil {
		return err
	}
	if err := errors.Join(client.push(ctx, "team-a/app:refreshed"), client.pull(ctx, "team-a/app:refreshed")); err != nil {
		return err
	}
	if err := d.mayRefresh(ctx, token, true); err != nil {
		return err
	}
	if err := d.revoke(ctx, d.Servers[0].URL, token); err != nil {
		return err
	}
	if err := d.mayRefresh(ctx, token, false); err != nil {
		return err
	}
	return refused(client.push(ctx, "team-a/app:revoked"))
}

// refreshToken logs alice in as docker does.
func (d *demo) refreshToken(ctx context.Context) (string, error) {
	q := url.Values{"service": {audience}, "account": {"alice"}, "client_id": {"docker"}, "offline_token": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Servers[0].URL+"/token?"+q.Encode(), nil)
	if err != nil {
		return "", err
	}
	req.SetBasicAuth("alice", d.passwords["alice"])
	a, err := do(req)
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusOK || a.RefreshToken == "" {
		return "", fmt.Errorf("login was answered with %d and no refresh token", a.Status)
	}
	return a.RefreshToken, nil
}

// identityToken is a client that has a refresh token and no password.
func (d *demo) identityToken(name, token string) (*crane, error) {
	c, err := d.client(name, "", "")
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{d.registry: map[string]string{"identitytoken": token}}})
	if err != nil {
		return nil, err
	}
	return c, os.WriteFile(filepath.Join(c.config, "config.json"), config, 0o600)
}

// mayRefresh waits until both servers take the refresh token, or both do not.
func (d *demo) mayRefresh(ctx context.Context, token string, want bool) error {
	form := url.Values{
		"grant_type": {"refresh_token"}, "service": {audience}, "client_id": {"docker"}, "refresh_token": {token},
		"scope": {"repository:team-a/app:pull"},
	}
	return stage.Eventually(ctx, effectLimit, func() error {
		for _, server := range d.URLs() {
			a, err := d.form(ctx, server+"/token", form, "")
			if err != nil {
				return err
			}
			if !a.refreshed(want) {
				return fmt.Errorf("%s answers the refresh token with %d", server, a.Status)
			}
		}
		return nil
	})
}

// refreshed says whether a refresh token was good for what alice may have or, where it should not be, was refused. A server that
// cannot tell refuses nothing.
func (a answer) refreshed(want bool) bool {
	if want {
		return a.Status == http.StatusOK && a.may("team-a/app", "pull")
	}
	return a.Status == http.StatusUnauthorized
}

// revoke takes the refresh token back, as alice.
func (d *demo) revoke(ctx context.Context, server, token string) error {
	a, err := d.form(ctx, server+"/revoke", url.Values{"token": {token}}, d.passwords["alice"])
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("the revocation was answered with %d", a.Status)
	}
	return nil
}

// form posts a form, as alice if there is a password.
func (d *demo) form(ctx context.Context, to string, form url.Values, password string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
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
