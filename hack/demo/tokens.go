package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// answer is what the token endpoint said.
type answer struct {
	Status int
	Token  string `json:"token"`
	// RefreshToken is there if it was asked for and is allowed.
	RefreshToken string `json:"refresh_token"`
}

// header of the token, unverified: the registry verifies.
func (a answer) keyID() string {
	var header struct {
		KeyID string `json:"kid"`
	}
	decodePart(a.Token, 0, &header)
	return header.KeyID
}

// may tells whether the token gives the action.
func (a answer) may(name, action string) bool {
	var claims struct {
		Access []struct {
			Name    string   `json:"name"`
			Actions []string `json:"actions"`
		} `json:"access"`
	}
	decodePart(a.Token, 1, &claims)
	for _, entry := range claims.Access {
		if entry.Name == name && slices.Contains(entry.Actions, action) {
			return true
		}
	}
	return false
}

func decodePart(token string, part int, into any) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err == nil {
		_ = json.Unmarshal(data, into)
	}
}

// ask gets a token as docker does: GET with Basic, or without for an anonymous caller.
func (d *demo) ask(ctx context.Context, server, user, password, repository, actions string) (answer, error) {
	q := url.Values{"service": {audience}, "scope": {"repository:" + repository + ":" + actions}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/token?"+q.Encode(), nil)
	if err != nil {
		return answer{}, err
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	return do(req)
}

// askByForm gets a token as containerd does: POST with a form. A user name may hold a colon there.
func (d *demo) askByForm(ctx context.Context, server, user, password, repository, actions string) (answer, error) {
	form := url.Values{
		"grant_type": {"password"}, "service": {audience}, "client_id": {"demo"}, "username": {user}, "password": {password},
		"scope": {"repository:" + repository + ":" + actions},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(req)
}

func do(req *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	a := answer{Status: resp.StatusCode}
	if len(body) == 0 { // RFC 7009
		return a, nil
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("the answer is not JSON: %w", err)
	}
	return a, nil
}
