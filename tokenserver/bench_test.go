package tokenserver

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func keyID(t testing.TB) func(*snapshot.Snapshot) {
	return func(from *snapshot.Snapshot) {
		keys := snapshot.Build(snapshot.Input{Keys: []snapshot.Keys{
			fixture.Key(t, "registry", v1alpha1.KeyID, time.Now().Add(-time.Minute), service),
		}})
		from.Audiences, from.JWKS = keys.Audiences, keys.JWKS
	}
}

// limit is the least that a token server can do: it signs as many bytes with the same key, and writes as long an answer.
func limit(b *testing.B, from *snapshot.Snapshot, answer int) http.Handler {
	b.Helper()
	claims := token.RegistryClaims{
		Issuer: issuerName, Audience: service, Expiry: time.Now().Unix(), NotBefore: time.Now().Unix(), IssuedAt: time.Now().Unix(),
		Access: []token.Access{{Type: "repository", Name: "public/app", Actions: []string{"pull"}}},
	}
	var err error
	if claims.ID, err = token.NewID(rand.Reader); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, answer)
	signer := from.Audiences[service].Signer
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := signer.Sign(token.TypeRegistry, claims); err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body) //nolint:errcheck // it costs nothing and cannot fail
	})
}

// BenchmarkAnonymousPull compares the handler of an anonymous pull, audit file included, with the limit. Over a real
// connection both sides gain the same.
func BenchmarkAnonymousPull(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "audit.log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	handler, from := inProcess(b, file, keyID(b))
	query := url.Values{"service": {service}, "scope": {"repository:public/app:pull"}}.Encode()
	request := httptest.NewRequest(http.MethodGet, "/token?"+query, nil)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	if w.Code != http.StatusOK {
		b.Fatalf("%d %s", w.Code, w.Body)
	}

	measure := func(h http.Handler) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				h.ServeHTTP(&discard{header: http.Header{}}, request)
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		}
	}
	b.Run("limit", measure(limit(b, from, w.Body.Len())))
	b.Run("handler", measure(handler))
}

// processorTime is what the process has used, which does not depend on what else the machine does.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkAnonymousPullOverHTTP is the same over connections, as many as there are processors.
func BenchmarkAnonymousPullOverHTTP(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "audit.log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	handler, from := inProcess(b, file, keyID(b))
	path := "/token?" + url.Values{"service": {service}, "scope": {"repository:public/app:pull"}}.Encode()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))

	measure := func(h http.Handler) func(*testing.B) {
		return func(b *testing.B) {
			server := httptest.NewUnstartedServer(h)
			server.Config = httpx.NewServer(b.Context(), h, logr.Discard())
			server.Start()
			defer server.Close()
			before := processorTime(b)
			b.RunParallel(func(loop *testing.PB) {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for loop.Next() {
					response, err := client.Get(server.URL + path)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, response.Body) //nolint:errcheck // only the time matters
					response.Body.Close()
				}
			})
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		}
	}
	b.Run("limit", measure(limit(b, from, w.Body.Len())))
	b.Run("handler", measure(handler))
}
