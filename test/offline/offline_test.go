package offline

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// TestWithAStockRegistry is the life of one server: what it grants, what changes, a restart, and a rotation.
func TestWithAStockRegistry(t *testing.T) {
	s := open(t)
	if err := s.push("team-a/app:v1"); err != nil {
		s.fatal("alice may push:", err)
	}
	if err := s.pull("team-a/app:v1"); err != nil {
		s.fatal("alice may pull:", err)
	}
	if err := s.push("team-b/app:v1"); err == nil {
		t.Error("alice pushed where no policy says so")
	}

	s.write("more/team-b.yaml", policy("ClusterAccessPolicy", "team-b", "", "Allow", "team-b/**", "pull, push"))
	added := s.becomes("team-b/app", "pull,push")
	if err := s.push("team-b/app:v1"); err != nil {
		s.fatal("a policy came:", err)
	}
	s.write("more/team-b.yaml", policy("ClusterAccessPolicy", "team-b", "", "Allow", "team-b/**", "pull"))
	changed := s.becomes("team-b/app", "pull")
	if err := s.push("team-b/app:v2"); err == nil {
		t.Error("alice pushed though the policy allows it no more")
	}
	s.write("deny.yaml", policy("ClusterAccessPolicy", "deny", "", "Deny", "team-a/app", `"*"`))
	denied := s.becomes("team-a/app", "")
	s.remove("deny.yaml")
	s.becomes("team-a/app", "pull,push")
	s.remove("more/team-b.yaml")
	removed := s.becomes("team-b/app", "")
	t.Logf("A policy took effect after %s, a change after %s, a Deny after %s, and the end after %s", added, changed, denied, removed)
	for what, took := range map[string]time.Duration{"a policy": added, "a change": changed, "a Deny": denied, "the end": removed} {
		if took > 5*time.Second { // it is a matter of 0.1 s, on a machine that has nothing else to do
			t.Errorf("%s took effect after %s", what, took)
		}
	}

	old, kid, _ := s.token("repository:team-a/app:pull")
	keys := s.read(s.public("jwks.json"))
	s.server.Restart()
	s.ready()
	if _, after, _ := s.token("repository:team-a/app:pull"); after != kid || s.read(s.public("jwks.json")) != keys {
		t.Errorf("after a restart another key signs: %s, not %s", after, kid)
	}
	if err := s.push("team-a/app:v2"); err != nil || !s.accepts(old, "team-a/app") {
		s.fatal("after a restart the registry refuses tokens:", err)
	}

	s.write("key.yaml", fmt.Sprintf(keyManifest, "1"))
	err := stage.Eventually(t.Context(), time.Minute, func() error {
		if _, now, _ := s.token("repository:team-a/app:pull"); now == kid {
			return fmt.Errorf("key %s signs", now)
		}
		return nil
	})
	if err != nil {
		s.fatal("a rotation was asked for:", err)
	}
	if err := s.push("team-a/app:v3"); err != nil || !s.accepts(old, "team-a/app") {
		s.fatal("after a rotation the registry, which was not restarted, refuses tokens:", err)
	}
	s.holdsNoSecret()
}

// holdsNoSecret looks at all that the server said.
func (s *scene) holdsNoSecret() {
	s.t.Helper()
	for _, log := range []string{"server.log", "audit"} {
		text := s.read(filepath.Join(s.dir, log))
		for what, secret := range map[string]string{"a password": password, "a hash": s.hash, "a token": "eyJ", "a key": "PRIVATE KEY"} {
			if strings.Contains(text, secret) {
				s.t.Errorf("%s holds %s", log, what)
			}
		}
	}
}

func TestAServiceAccountIsRefused(t *testing.T) {
	s := prepare(t)
	s.start()
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	token := encode(`{"alg":"RS256","kid":"x"}`) + "." +
		encode(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:team-a:ci","aud":["tokenwright"],"exp":4102444800}`) + "." + encode("signature")
	status, body := s.get(s.url+"/token?"+url.Values{"service": {service}}.Encode(), "ci", token)
	if status != http.StatusUnauthorized {
		t.Errorf("%d %s: it is refused for good, and no use to try again", status, body)
	}
	if log := s.read(filepath.Join(s.dir, "server.log")); !strings.Contains(log, "ServiceAccounts cannot log in here") {
		t.Errorf("nobody is told at the start:\n%s", log)
	}
}

func TestABadEditChangesNothing(t *testing.T) {
	s := prepare(t)
	s.start()
	s.write("deny.yaml", policy("ClusterAccessPolicy", "deny", "", "Deny", "team-a/secret", `"*"`))
	s.becomes("team-a/secret", "")
	s.write("deny.yaml", "kind: [")
	says := func(path, text string) {
		t.Helper()
		err := stage.Eventually(t.Context(), 20*time.Second, func() error {
			if status, body := s.get("http://"+s.health+path, "", ""); status != http.StatusOK || !strings.Contains(string(body), text) {
				return fmt.Errorf("%s: %d %.300s does not say %q", path, status, body, text)
			}
			return nil
		})
		if err != nil {
			s.fatal(err)
		}
	}
	says("/healthz", "deny.yaml:1: is not YAML")
	says("/metrics", "tokenwright_server_manifest_problems 1\n")
	says("/readyz", "ok")
	s.becomes("team-a/secret", "")
	s.becomes("team-a/app", "pull,push")

	out, err := exec.CommandContext(t.Context(), s.args()[0], s.args()[1:]...).CombinedOutput() //nolint:gosec // our own binary
	if err == nil || !strings.Contains(string(out), "error: the manifests are not in order:\n") || !strings.Contains(string(out), "deny.yaml:1: is not YAML") {
		t.Errorf("a start with it: %v\n%s", err, out)
	}
	s.remove("deny.yaml")
	s.becomes("team-a/secret", "pull,push")
	says("/metrics", "tokenwright_server_manifest_problems 0\n")
}

func TestASecondServerIsRefused(t *testing.T) {
	s := prepare(t)
	s.start()
	args := slices.Concat(s.args()[1:], []string{"--listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"})
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput() //nolint:gosec // our own binary
	if err == nil || !strings.Contains(string(out), "is in use by another server") {
		t.Errorf("%v\n%s", err, out)
	}
	// One that is killed leaves nothing in the way of the next.
	s.server.Kill()
	s.server.Release()
	s.ready()
	s.becomes("team-a/app", "pull,push")
}

func TestADamagedStateIsRefused(t *testing.T) {
	s := prepare(t)
	s.start()
	s.processes.Stop()
	file := filepath.Join(s.dir, "state", "keys", "registry-signing-key.json")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, s.args()[1:]...).CombinedOutput() //nolint:gosec // our own binary
	if err == nil || !strings.Contains(string(out), file+" is damaged") || !strings.Contains(string(out), "restore what is damaged from a backup") {
		t.Errorf("%v\n%s", err, out)
	}
}
