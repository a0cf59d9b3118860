package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/uma/enforce"
)

// galleryAudience is a resource server that the demo brings along.
const galleryAudience = "gallery.example.com"

const galleryObjects = `
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: gallery, namespace: tokenwright-system}
spec:
  audiences: [gallery.example.com]
  keyIdentification: KeyID
  namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: team-a}}}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: gallery-protects-albums}
spec:
  subjects: [{kind: ServiceAccount, name: gallery, namespace: team-a}]
  rules: [{type: oauth, names: [gallery.example.com], actions: [uma_protection, register_for_others]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: team, namespace: team-a}
spec: {audience: gallery.example.com, displayName: The team, type: album, scopes: [view], uris: [/albums/team]}
`

// gallery serves albums to who has a requesting party token for them. It knows tokenserver/uma/enforce, and nothing else of
// Tokenwright.
type gallery struct {
	enforcer *enforce.Enforcer
	server   *http.Server
	url      string
	// holidays is the id of the album that it registers, and asked that of the request for it.
	holidays, asked string
}

// openGallery starts it with a ServiceAccount's token, as it would be mounted into its pod.
func (d *demo) openGallery(ctx context.Context) error {
	token, err := d.Cluster.Plane.ServiceAccountToken(ctx, "team-a", "gallery", time.Hour, "tokenwright")
	if err != nil {
		return err
	}
	file := filepath.Join(d.Dir, "gallery.token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return fmt.Errorf("write the gallery's token: %w", err)
	}
	g := &gallery{}
	g.enforcer, err = enforce.New(enforce.Config{
		Issuer: d.Issuer, Audience: galleryAudience, Login: enforce.Login{TokenFile: file},
		Paths: []enforce.Path{{Pattern: "/albums/{name}", ByURI: true, Methods: map[string][]string{http.MethodGet: {"view"}}}},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the gallery: %w", err)
	}
	g.url = "http://" + listener.Addr().String()
	g.server = &http.Server{Handler: g.enforcer.Handler(http.HandlerFunc(album)), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = g.server.Serve(listener) }()
	d.gallery = g
	return nil
}

func album(w http.ResponseWriter, r *http.Request) {
	token, _ := enforce.FromContext(r.Context())
	fmt.Fprintf(w, "%s for %s", r.URL.Path, token.Subject)
}

// close may be called for a gallery that was never opened.
func (g *gallery) close() {
	if g != nil {
		_ = g.server.Close()
	}
}

// visit asks for an album, and returns the ticket of the challenge.
func (g *gallery) visit(ctx context.Context, path string) (string, error) {
	a, header, err := send(ctx, http.MethodGet, g.url+path, "", "", nil)
	if err != nil {
		return "", err
	}
	_, ticket, found := strings.Cut(header.Get("WWW-Authenticate"), `ticket="`)
	if a.Status != http.StatusUnauthorized || !found {
		return "", fmt.Errorf("%s without a token is answered with %d and %q", path, a.Status, header.Get("WWW-Authenticate"))
	}
	return strings.TrimSuffix(ticket, `"`), nil
}

// enter asks for an album with a token, and fails unless it is shown to the user.
func (g *gallery) enter(ctx context.Context, path, rpt, user string) error {
	a, _, err := send(ctx, http.MethodGet, g.url+path, "Bearer "+rpt, "", nil)
	if err == nil && (a.Status != http.StatusOK || a.Body != path+" for "+user) {
		err = fmt.Errorf("%s with the token of %s is answered with %d", path, user, a.Status)
	}
	return err
}

// said is an answer of the gallery, or of a server about it.
type said struct {
	Status      int
	Body        string
	Error       string `json:"error"`
	AccessToken string `json:"access_token"`
	ID          string `json:"_id"`
}

// send sends one request; body is a form or bytes of JSON, or nil.
func send(ctx context.Context, method, to, authorization, mediaType string, body []byte) (said, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return said{}, nil, err
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return said{}, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return said{}, nil, fmt.Errorf("read the answer: %w", err)
	}
	s := said{Status: response.StatusCode, Body: string(text)}
	_ = json.Unmarshal(text, &s) // what the gallery says is no JSON
	return s, response.Header, nil
}

// askToken sends a form to a server's token endpoint.
func askToken(ctx context.Context, server, authorization string, form url.Values) (said, error) {
	s, _, err := send(ctx, http.MethodPost, server+"/token", authorization, "application/x-www-form-urlencoded", []byte(form.Encode()))
	return s, err
}
