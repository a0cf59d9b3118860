package tokenserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	service       = "registry.example.com"
	brokenService = "broken.example.com"
	issuerName    = "https://auth.example.com"
)

// observer is an Observer that has nothing to do.
type observer struct{ ready func() error }

func (observer) Start(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (o observer) Ready() error {
	if o.ready == nil {
		return nil
	}
	return o.ready()
}

func (observer) Stats() observe.Stats { return observe.Stats{} }

// small is a snapshot with two people: anonymous pulls public/**, alice pushes team-a/**, bob has nothing.
func small(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	now := time.Now()
	return snapshot.Build(snapshot.Input{
		At: now,
		Policies: fixture.Policies(t,
			fixture.Cluster("public", []v1alpha1.Subject{fixture.Anonymous, fixture.Anybody}, fixture.Repositories("public/**", "pull"), nil),
			fixture.Cluster("alice", []v1alpha1.Subject{fixture.User("alice")}, fixture.Repositories("team-a/**", "pull", "push"), nil),
		),
		Keys: []snapshot.Keys{
			fixture.Key(t, "registry", v1alpha1.X509Chain, now.Add(-time.Minute), service), fixture.Broken("broken", brokenService),
		},
		Providers: []*provider.Provider{fixture.Htpasswd(t, map[string]string{"alice": "secret", "bob": "hunter2"})},
		Prefixes:  []string{""},
	})
}

// running is a server on free ports.
type running struct {
	url, health, auditFile string
	client                 *http.Client
	stop                   context.CancelFunc
	ended                  chan error
	snapshots              *snapshot.Holder
}

// start runs a server until the test ends; change may be nil.
func start(t testing.TB, change func(*Options, *Parts)) *running {
	t.Helper()
	listener, healthListener := listenHere(t), listenHere(t)
	r := &running{
		health: "http://" + healthListener.Addr().String(), auditFile: filepath.Join(t.TempDir(), "audit.log"),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		ended:  make(chan error, 1), snapshots: &snapshot.Holder{},
	}
	options := Options{
		Namespace: fixture.Namespace, Issuer: issuerName, Listener: listener, HealthListener: healthListener,
		AuditFile: r.auditFile, JWKSMaxAge: 5 * time.Minute, ShutdownTimeout: 5 * time.Second, Log: logr.Discard(),
	}
	parts := Parts{Snapshots: r.snapshots, Authenticator: identity.New(identity.Options{Log: logr.Discard()}), Observer: observer{}}
	r.snapshots.Store(small(t))
	if change != nil {
		change(&options, &parts)
	}
	r.url = "http://" + listener.Addr().String()
	if options.TLSCertFile != "" {
		r.url = "https://" + listener.Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		defer close(r.ended) // who asks once more gets nil
		r.ended <- Serve(ctx, options, parts)
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-r.ended:
			if err != nil {
				t.Logf("Serve returned %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server did not stop")
		}
	})
	return r
}

func listenHere(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// reply is an answer of the server, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *running) do(t testing.TB, request *http.Request) reply {
	t.Helper()
	response, err := r.client.Do(request)
	for try := 1; try < 5 && cutOff(err) && request.GetBody != nil; try++ {
		if request.Body, err = request.GetBody(); err != nil {
			t.Fatal(err)
		}
		response, err = r.client.Do(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, body}
}

// cutOff says whether the server answered, and hung up, before the whole of a body that is too long was sent: on a busy machine
// a client may see the second and not the first.
func cutOff(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// get asks for a token; an empty user is nobody.
func (r *running) get(t testing.TB, user, password string, query url.Values) reply {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.url+"/token?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	return r.do(t, request)
}

// claims verifies the token of an answer against the JWKS that the server serves.
func (r *running) claims(t testing.TB, answer reply) token.RegistryClaims {
	t.Helper()
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	request, err := http.NewRequest(http.MethodGet, r.url+"/.well-known/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := verified(r.do(t, request).body, answer.body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// verified reads an answer and returns the claims of its token if the key set has signed it.
func verified(jwks, answer []byte) (token.RegistryClaims, error) {
	var fields struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	var set jose.JSONWebKeySet
	if err := errors.Join(json.Unmarshal(answer, &fields), json.Unmarshal(jwks, &set)); err != nil {
		return token.RegistryClaims{}, err
	}
	if fields.Token != fields.AccessToken || fields.ExpiresIn < 60 {
		return token.RegistryClaims{}, errors.New("token, access_token and expires_in are not what clients expect")
	}
	jws, err := jose.ParseSignedCompact(fields.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return token.RegistryClaims{}, err
	}
	payload, err := jws.Verify(set)
	if err != nil {
		return token.RegistryClaims{}, err
	}
	var claims token.RegistryClaims
	err = json.Unmarshal(payload, &claims)
	return claims, err
}

// granted spells access as scopes.
func granted(access []token.Access) []string {
	texts := []string{}
	for _, a := range access {
		texts = append(texts, a.Type+":"+a.Name+":"+strings.Join(a.Actions, ","))
	}
	return texts
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within 20 s it did not happen: %s", what)
		}
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
