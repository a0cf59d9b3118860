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
	cases := map[string]struct {
		reason  string
		from    *snapshot.Snapshot
		method  string
		ifMatch string
		want    want
	}{
		"The set":                {"the plain case", full, http.MethodGet, "", ok},
		"The same set as before": {"RFC 9110, section 13.1.2", full, http.MethodGet, `"abc"`, unchanged},
		"One of several sets":    {"the header is a list", full, http.MethodGet, `"x", W/"abc"`, unchanged},
		"Any set":                {"the star stands for any", full, http.MethodGet, "*", unchanged},
		"Another set":            {"what is old must be replaced", full, http.MethodGet, `"x"`, ok},
		"Only the header":        {"HEAD is GET without a body", full, http.MethodHead, "", want{200, "", cache, `"abc"`, typ}},
		"Another method":         {"the set is read only", full, http.MethodPost, "", want{405, `{"error":"unsupported","error_description":"the method is not allowed here"}` + "\n", "no-store", "", typ}},
		"Before the first snapshot": {
			"a verifier would keep an empty set", &snapshot.Snapshot{JWKS: []byte(`{"keys":[]}`), JWKSETag: `"e"`}, http.MethodGet, "",
			want{503, `{"error":"temporarily_unavailable","error_description":"the keys are not known yet"}` + "\n", "no-store", "", typ},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var holder snapshot.Holder
			holder.Store(tc.from)
			keys := JWKS{Snapshots: &holder, MaxAge: 5 * time.Minute}
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
