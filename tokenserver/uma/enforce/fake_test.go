package enforce

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	photos   = "https://photos.example.com"
	password = "hunter2-of-the-server"
)

// fake is an authorization server: what is asked of it, and what it shall answer.
type fake struct {
	*httptest.Server
	mu sync.Mutex
	// asked counts requests by path.
	asked map[string]int
	// bodies are those of tickets that were asked for, queries those of look-ups.
	bodies, queries []string
	// answer takes the place of what a path would answer, if it says so.
	answer func(w http.ResponseWriter, r *http.Request) bool

	keys     []jose.JSONWebKey
	pat      string
	scope    string
	inactive map[string]bool
	found    map[string][]string
}

func newFake(t testing.TB) *fake {
	f := &fake{asked: map[string]int{}, pat: "the-pat", scope: "oauth:" + photos + ":uma_protection", inactive: map[string]bool{}, found: map[string][]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/uma2-configuration", func(w http.ResponseWriter, _ *http.Request) {
		write(w, 200, map[string]string{
			"issuer": f.URL, "token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/jwks", "permission_endpoint": f.URL + "/permission",
			"resource_registration_endpoint": f.URL + "/resource_set", "introspection_endpoint": f.URL + "/introspect",
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { write(w, 200, jose.JSONWebKeySet{Keys: f.keys}) })
	mux.HandleFunc("POST /token", f.token)
	mux.HandleFunc("POST /permission", f.permission)
	mux.HandleFunc("GET /resource_set", f.resources)
	mux.HandleFunc("POST /introspect", f.introspect)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked[r.URL.Path]++
		if f.answer == nil || !f.answer(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	user, secret, _ := r.BasicAuth()
	byUser, byToken := user == "rs%3Aone" && secret == password, user == "serviceaccount" && secret == "sa-token"
	if !byUser && !byToken || r.FormValue("grant_type") != grantClient || r.FormValue("audience") != photos || r.FormValue("scope") != "uma_protection" {
		write(w, 401, map[string]string{"error": "invalid_client"})
		return
	}
	write(w, 200, map[string]any{"access_token": f.pat, "expires_in": 300, "scope": f.scope})
}

func (f *fake) proved(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == "Bearer "+f.pat {
		return true
	}
	write(w, 401, map[string]string{"error": "invalid_token"})
	return false
}

func (f *fake) permission(w http.ResponseWriter, r *http.Request) {
	if !f.proved(w, r) {
		return
	}
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.bodies = append(f.bodies, string(body))
	write(w, 201, map[string]string{"ticket": fmt.Sprintf("ticket-%d", len(f.bodies))})
}

func (f *fake) resources(w http.ResponseWriter, r *http.Request) {
	if !f.proved(w, r) {
		return
	}
	f.queries = append(f.queries, r.URL.RawQuery)
	write(w, 200, append([]string{}, f.found[r.FormValue("name")+r.FormValue("uri")]...))
}

func (f *fake) introspect(w http.ResponseWriter, r *http.Request) {
	user, secret, _ := r.BasicAuth()
	if user != "rs%3Aone" || secret != password || r.FormValue("token_type_hint") != "requesting_party_token" {
		write(w, 401, map[string]string{"error": "invalid_client"})
		return
	}
	write(w, 200, map[string]any{"active": !f.inactive[r.FormValue("token")], "permissions": []map[string]any{{"resource_id": "album-1", "resource_scopes": []string{"view", "edit"}}}})
}

func (f *fake) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// signer is a key of the server's.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(t testing.TB, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, kid}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: &s.key.PublicKey, KeyID: s.kid, Algorithm: string(jose.ES256), Use: "sig"}
}

// sign signs claims with a header.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, header map[string]any, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// scene is an enforcer before a handler that says who came.
type scene struct {
	*fake
	signer   signer
	enforcer *Enforcer
	handler  http.Handler
	served   []*http.Request
	reported []error
	now      time.Time
	mu       sync.Mutex
}

func newScene(t testing.TB, change func(*Config)) *scene {
	t.Helper()
	s := &scene{fake: newFake(t), signer: newSigner(t, "key-1"), now: time.Unix(1_800_000_000, 0)}
	s.keys = []jose.JSONWebKey{s.signer.public()}
	config := Config{
		Issuer: s.URL, Audience: photos, Realm: `the "photos"`, Login: Login{Username: "rs:one", Password: password},
		Clock: s.clock, Timeout: 2 * time.Second,
		Report: func(_ context.Context, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reported = append(s.reported, err)
		},
		Paths: []Path{
			{Pattern: "/albums/1", Resource: "album-1", Methods: map[string][]string{"GET": {"view"}, "PUT": {"view", "edit"}}},
			{Pattern: "/albums/2", Resource: "album-2", Scopes: []string{"view"}},
			{Pattern: "/any", Resource: "album-1", Scopes: []string{"view", "own"}, ScopesMode: Any},
			{Pattern: "/verbs/*", Resource: "album-1", HTTPMethodAsScope: true},
			{Pattern: "/named", Name: "Album 1", Scopes: []string{"view"}},
			{Pattern: "/found/*", ByURI: true, Scopes: []string{"view"}},
			{Pattern: "/public/*", Public: true},
		},
	}
	if change != nil {
		change(&config)
	}
	var err error
	if s.enforcer, err = New(config); err != nil {
		t.Fatal(err)
	}
	s.handler = s.enforcer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.served = append(s.served, r)
		if token, ok := FromContext(r.Context()); ok {
			fmt.Fprint(w, token.Subject)
		}
	}))
	return s
}

func (s *scene) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scene) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

type object = map[string]any

// claims are those of a good token: view and edit of album-1.
func (s *scene) claims() object {
	now := s.clock().Unix()
	return object{
		"iss": s.URL, "aud": photos, "sub": "alice", "jti": "t1", "client_id": "app", "exp": now + 600, "nbf": now - 60, "iat": now,
		"authorization": object{"permissions": []object{{"rsid": "album-1", "rsname": "Album 1", "scopes": []string{"view", "edit"}}}},
	}
}

// rpt signs such a token; change may be nil.
func (s *scene) rpt(t testing.TB, change func(claims object)) string {
	t.Helper()
	claims := s.claims()
	if change != nil {
		change(claims)
	}
	return sign(t, jose.ES256, s.signer.key, object{"typ": typeRPT, "kid": s.signer.kid}, claims)
}

func (s *scene) do(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *scene) get(path, bearer string) *httptest.ResponseRecorder {
	if bearer == "" {
		return s.do(http.MethodGet, path)
	}
	return s.do(http.MethodGet, path, "Authorization", "Bearer "+bearer)
}

// challenged holds that a request was answered with a ticket, and reached no handler.
func (s *scene) challenged(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	got := w.Header().Get("WWW-Authenticate")
	if w.Code != 401 || !strings.HasPrefix(got, `UMA realm="the \"photos\"", as_uri="`+s.URL+`", ticket="ticket-`) || len(s.served) != 0 {
		t.Errorf("answered with %d %q, and %d requests were served", w.Code, got, len(s.served))
	}
}

// undecided holds that a request was refused because the authorization server could not be asked.
func (s *scene) undecided(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != 403 || w.Header().Get("Warning") != `199 - "UMA Authorization Server Unreachable"` || len(s.served) != 0 {
		t.Errorf("answered with %d, Warning %q, and %d requests were served", w.Code, w.Header().Get("Warning"), len(s.served))
	}
}

// tellsNothing holds that no token or password is in what was reported and answered.
func (s *scene) tellsNothing(t testing.TB, secrets ...string) {
	t.Helper()
	text := fmt.Sprint(s.reported)
	for _, secret := range append(secrets, s.pat, password) {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told in %s", secret, text)
		}
	}
}

// part replaces one of the three parts of a token.
func part(token string, n int, text string) string {
	parts := strings.Split(token, ".")
	parts[n] = base64.RawURLEncoding.EncodeToString([]byte(text))
	return strings.Join(slices.Clone(parts), ".")
}
