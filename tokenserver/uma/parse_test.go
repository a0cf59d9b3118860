package uma

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// FuzzParse holds that a form is either refused with an answer of its own, or read in one way: nothing that must come once came
// twice, and no claims that nobody signed came at all.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ticket=x&rpt=y&submit_request=true", "audience=a&permission=x%23read&permission=%23view&response_mode=decision",
		"audience=a&claim_token=x&claim_token_format=urn:ietf:params:oauth:token-type:jwt", "ticket=x&ticket=y",
		"audience=a&response_permissions_limit=99999999999999999999", "permission=&permission_resource_format=uri",
	} {
		f.Add(seed, "Bearer x", false)
		f.Add(seed, "Basic YTpi", true)
	}
	f.Fuzz(func(t *testing.T, text, authorization string, keycloak bool) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		s := &Server{Keycloak: keycloak}
		request, err := s.parse(http.Header{"Authorization": {authorization}}, form)
		if err != nil {
			var answer *httpx.Error
			if !errors.As(err, &answer) || answer.Status < 400 || answer.Status >= 500 || answer.Code == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, name := range single {
			if len(form[name]) > 1 {
				t.Fatalf("%s came twice: %q", name, text)
			}
		}
		if request.Most < 0 || form.Has("permission") != (request.Permissions != nil) || request.Bearer != "" && request.Credentials.Present {
			t.Fatalf("%q is read as %+v", text, request)
		}
		if format := form.Get("claim_token_format"); format != "" && format != formatIDToken {
			t.Fatalf("%q is taken", format)
		}
	})
}
