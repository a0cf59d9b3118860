package httpx

import (
	"encoding/base64"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadAuthorization(t *testing.T) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	type want struct {
		Authorization Authorization
		Malformed     bool
	}
	cases := map[string]struct {
		reason, header string
		want           want
	}{
		"Basic":                      {"RFC 7617", basic("alice:secret"), want{Authorization{Scheme: Basic, Username: "alice", Password: "secret"}, false}},
		"Basic with colons":          {"only the first separates", basic("a:b:c"), want{Authorization{Scheme: Basic, Username: "a", Password: "b:c"}, false}},
		"Basic in other case":        {"RFC 9110, section 11.1", "bASIC Og==", want{Authorization{Scheme: Basic}, false}},
		"Basic without a colon":      {"there is no password", "Basic YQ==", want{Authorization{}, true}},
		"Basic that is not base64":   {"there is no password", "Basic ?", want{Authorization{}, true}},
		"Basic with bits to spare":   {"one password has one spelling", "Basic YTpiYz==", want{Authorization{}, true}},
		"Bearer":                     {"RFC 6750", "Bearer a.b.c", want{Authorization{Scheme: Bearer, Token: "a.b.c"}, false}},
		"Bearer without a token":     {"whoever reads it finds none", "Bearer", want{Authorization{Scheme: Bearer}, false}},
		"Another scheme":             {"it is named, and not read", "Negotiate abc", want{Authorization{Scheme: "negotiate"}, false}},
		"Nothing in it":              {"whoever sends one does not mean to be nobody", "", want{Authorization{}, true}},
		"A space before the scheme":  {"it has no scheme", " Basic Og==", want{Authorization{}, true}},
		"Two credentials in one":     {"a proxy may have joined them", basic("a:b") + ", " + basic("c:d"), want{Authorization{}, true}},
		"A token with spaces in it ": {"it is no token, and whoever verifies it will see", "Bearer a b", want{Authorization{Scheme: Bearer, Token: "a b"}, false}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ReadAuthorization(http.Header{"Authorization": {tc.header}})
			if diff := cmp.Diff(tc.want, want{got, errors.Is(err, ErrMalformed)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if got, err := ReadAuthorization(http.Header{}); err != nil || got != (Authorization{}) {
		t.Errorf("without a header: %v, %v", got, err)
	}
}

func TestAClientEncodesItsNameAndPassword(t *testing.T) {
	cases := map[string]struct {
		reason         string
		given          Authorization
		name, password string
		malformed      bool
	}{
		"Nothing to decode": {reason: "the plain case", given: Authorization{Username: "alice", Password: "secret"}, name: "alice", password: "secret"},
		"Encoded":           {reason: "RFC 6749, section 2.3.1", given: Authorization{Username: "corp%3Aalice", Password: "a+b%2B%25"}, name: "corp:alice", password: "a b+%"},
		"A bare percent":    {reason: "what is broken is not guessed at", given: Authorization{Username: "alice", Password: "100%"}, malformed: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			name, password, err := tc.given.Client()
			if name != tc.name || password != tc.password || errors.Is(err, ErrMalformed) != tc.malformed {
				t.Errorf("%s: %q, %q, %v", tc.reason, name, password, err)
			}
		})
	}
}
