package offline

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/test/stage"
)

const issuerManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: github, namespace: tokenwright-system}
spec:
  jwt:
    issuer:
      url: %q
      audiences: [%s]
      certificateAuthority: |
        %s
    prefix: "gh:"
    claimMappings: {username: {expression: claims.repository}}
    claimValidationRules: [{claim: repository_owner_id, requiredValue: %q}]
`

// TestATokenOfAnIssuer logs in with the token of a job: at a server of its own process, with no cluster, where a provider
// has neither uid nor generation that would tell one version from another.
func TestATokenOfAnIssuer(t *testing.T) {
	i := issuer.New(t)
	s := prepare(t)
	ours := func(owner string) {
		s.write("github.yaml", fmt.Sprintf(issuerManifest, i.URL, issuer.Audience,
			strings.ReplaceAll(strings.TrimSpace(i.CA), "\n", "\n        "), owner))
	}
	ours("65")
	s.start()
	token := i.Token(t, i.GitHub(nil))
	ask := func() int {
		status, _ := s.get(s.url+"/token?"+url.Values{"service": {service}}.Encode(), "job", token)
		return status
	}
	until := func(what string, want int) {
		t.Helper()
		err := stage.Eventually(t.Context(), 30*time.Second, func() error {
			if got := ask(); got != want {
				return fmt.Errorf("status %d, want %d", got, want)
			}
			return nil
		})
		if err != nil {
			s.fatal(fmt.Errorf("%s: %w", what, err))
		}
	}
	until("a job of ours", http.StatusOK)
	_, metrics := s.get("http://"+s.health+"/metrics", "", "")
	if want := `tokenwright_server_issuer_key_fetches_total{identity_provider="github",result="failed"} 0`; !strings.Contains(string(metrics), want+"\n") {
		s.fatal(fmt.Errorf("there is no line %s in %s", want, metrics))
	}
	ours("66")
	until("a job of somebody else, by the rule that is there now", http.StatusUnauthorized)
	ours("65")
	until("a job of ours again", http.StatusOK)
	s.remove("github.yaml")
	until("an issuer that nobody trusts any more", http.StatusUnauthorized)
}
