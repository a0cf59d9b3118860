package discovery

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

type silent struct{}

func (silent) Request(string, string, int, time.Duration) {}
func (silent) Panic(string)                               {}

func TestJWKS(t *testing.T) {
	full := &snapshot.Snapshot{JWKS: []byte(`{"keys":[]}`), JWKSETag: `"abc"`, BuiltAt: time.Now()}
	type want struct {
		Status                  int
		Body, Cache, ETag, Type string
	}
	const cache, typ = "public, max-age=300, must-revalidate", "application/json"
	ok := want{200, `{"keys":[]}`, cache, `"abc"`, typ}
	unchanged := want{304, "", cache, `"abc"`, typ}
	young, old := snapshot.NewFence(time.Hour), snapshot.NewFence(time.Hour)
	young.Confirm(time.Now())
	old.Confirm(time.Now().Add(-time.Hour))
	cases := map[string]struct {
		reason  string
		from    *snapshot.Snapshot
		method  string
		ifMatch string
		want    want
		fence   *snapshot.Fence
	}{
		"The set":                {"the plain case", full, http.MethodGet, "", ok, nil},
		"The same set as before": {"RFC 9110, section 13.1.2", full, http.MethodGet, `"abc"`, unchanged, nil},
		"One of several sets":    {"the header is a list", full, http.MethodGet, `"x", W/"abc"`, unchanged, nil},
		"Any set":                {"the star stands for any", full, http.MethodGet, "*", unchanged, nil},
		"Another set":            {"what is old must be replaced", full, http.MethodGet, `"x"`, ok, nil},
		"Only the header":        {"HEAD is GET without a body", full, http.MethodHead, "", want{200, "", cache, `"abc"`, typ}, nil},
		"Another method":         {"the set is read only", full, http.MethodPost, "", want{405, `{"error":"unsupported","error_description":"the method is not allowed here"}` + "\n", "no-store", "", typ}, nil},
		"Before the first snapshot": {
			"a verifier would keep an empty set", &snapshot.Snapshot{JWKS: []byte(`{"keys":[]}`), JWKSETag: `"e"`}, http.MethodGet, "",
			want{503, `{"error":"temporarily_unavailable","error_description":"the keys are not known yet"}` + "\n", "no-store", "", typ}, nil,
		},
		"A set that is known to be current":   {"it may be kept", full, http.MethodGet, "", ok, young},
		"A set that may be too old":           {"it is better than none, but may lack a newer key", full, http.MethodGet, "", want{200, `{"keys":[]}`, "no-store", `"abc"`, typ}, old},
		"The same set, and it may be too old": {"what the verifier has is no younger", full, http.MethodGet, `"abc"`, want{304, "", "no-store", `"abc"`, typ}, old},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var holder snapshot.Holder
			holder.Store(tc.from)
			keys := JWKS{Snapshots: &holder, MaxAge: 5 * time.Minute, Fence: tc.fence}
			handler := &httpx.Endpoint{
				Name: Name, Methods: Methods(), Handle: keys.Handle, WriteError: httpx.WritePlainError,
				Recorder: silent{}, Log: logr.Discard(), Now: time.Now,
			}
			r := httptest.NewRequest(tc.method, Path, nil)
			if tc.ifMatch != "" {
				r.Header.Set("If-None-Match", tc.ifMatch)
			}
			// A server leaves out the body of an answer to HEAD; the recorder does not.
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			body := w.Body.String()
			if tc.method == http.MethodHead {
				body = ""
			}
			h := w.Header()
			got := want{w.Code, body, h.Get("Cache-Control"), h.Get("ETag"), h.Get("Content-Type")}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
