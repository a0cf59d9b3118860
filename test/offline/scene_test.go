// Package offline tests a server without a cluster as it runs: the binary, fed from files, with a stock registry that
// trusts what it publishes, and a stock client. It needs bin/registry: `make registry`.
package offline

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const (
	service  = "registry.example.com"
	password = "correct horse battery staple"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokenwright-offline-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "tokenwright")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir, build.Env = controlplane.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// The manifests; the SigningKey may rotate as often as it is asked to.
const (
	keyManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata:
  name: registry
  namespace: tokenwright-system
  annotations: {tokenwright.dev/rotate: %q}
spec:
  audiences: [registry.example.com]
  rotation: {publishAhead: 0s}
  publish: {configMapName: trust}
`
	usersManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: users, namespace: tokenwright-system}
spec: {htpasswd: {secretRef: {name: users}}}
---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
stringData: {htpasswd: "alice:%s"}
`
	providerManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: cluster, namespace: tokenwright-system}
spec: {kubernetes: {audiences: [tokenwright]}}
`
	policyManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: %[1]s
metadata: {name: %[2]s%[3]s}
spec:
  effect: %[4]s
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: [%[5]q], actions: [%[6]s]}]
`
)

// scene is a server and what it is told.
type scene struct {
	t         *testing.T
	dir       string
	processes *stage.Processes
	server    *stage.Process
	url       string
	health    string
	registry  stage.Registry
	hash      string
}

// open starts a server, and a registry that trusts it.
func open(t *testing.T) *scene {
	t.Helper()
	s := prepare(t)
	s.start()
	address := free(t)
	s.registry = stage.Registry{
		Name: "registry", Binary: stage.Distribution3(), Storage: filepath.Join(s.dir, "images"), Address: address,
		Issuer: s.url, Service: service, Trust: fmt.Sprintf("rootcertbundle: %q", s.public("ca.crt")),
	}
	if _, err := s.registry.Start(t.Context(), s.processes); err != nil {
		s.fatal(err)
	}
	return s
}

// prepare writes manifests, and starts nothing.
func prepare(t *testing.T) *scene {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, dir: t.TempDir(), hash: string(hash)}
	s.processes = &stage.Processes{Dir: s.dir}
	t.Cleanup(s.processes.Stop)
	s.url, s.health = "http://"+strings.Replace(free(t), "127.0.0.1", "localhost", 1), free(t)
	s.write("key.yaml", fmt.Sprintf(keyManifest, "0"))
	s.write("users.yaml", fmt.Sprintf(usersManifest, hash))
	s.write("cluster.yaml", providerManifest)
	s.write("allow.yaml", policy("AccessPolicy", "allow", "team-a", "Allow", "team-a/**", "pull, push"))
	return s
}

func policy(kind, name, namespace, effect, repository, actions string) string {
	if namespace != "" {
		namespace = ", namespace: " + namespace
	}
	return fmt.Sprintf(policyManifest, kind, name, namespace, effect, repository, actions)
}

func free(t *testing.T) string {
	t.Helper()
	address, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func (s *scene) args() []string {
	return []string{
		binary, "server", "--manifests=" + filepath.Join(s.dir, "manifests"), "--state-dir=" + filepath.Join(s.dir, "state"), "--issuer=" + s.url,
		"--listen=" + strings.TrimPrefix(s.url, "http://"), "--health-listen=" + s.health, "--clock-skew=1s", "--audit-file=" + filepath.Join(s.dir, "audit"),
	}
}

func (s *scene) start() {
	s.t.Helper()
	var err error
	if s.server, err = s.processes.Start("server", nil, s.args()...); err != nil {
		s.fatal(err)
	}
	s.ready()
}

func (s *scene) ready() {
	s.t.Helper()
	err := stage.Eventually(s.t.Context(), time.Minute, func() error {
		return stage.Answers(s.t.Context(), "http://"+s.health+"/readyz", http.StatusOK)
	})
	if err != nil {
		s.fatal(err)
	}
}

// fatal shows what the processes said.
func (s *scene) fatal(args ...any) {
	s.t.Helper()
	var logs bytes.Buffer
	s.processes.PrintLogs(&logs)
	s.t.Fatal(append(args, logs.String())...)
}

func (s *scene) public(name string) string {
	return filepath.Join(s.dir, "state", "public", "trust", name)
}

func (s *scene) read(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *scene) write(name, text string) {
	s.t.Helper()
	path, part := filepath.Join(s.dir, "manifests", name), filepath.Join(s.dir, "part")
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	err = errors.Join(err, os.WriteFile(part, []byte(text), 0o600), os.Rename(part, path))
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "manifests", name)); err != nil {
		s.t.Fatal(err)
	}
}

// get is an answer of the server.
func (s *scene) get(address, user, secret string) (int, []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, secret)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, body
}

// token asks as alice, and returns the token with what it says.
func (s *scene) token(scope string) (text, kid string, granted []string) {
	s.t.Helper()
	status, body := s.get(s.url+"/token?"+url.Values{"service": {service}, "scope": {scope}}.Encode(), "alice", password)
	var answer struct {
		Token string `json:"token"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		s.fatal(status, string(body))
	}
	jws, err := jose.ParseSignedCompact(answer.Token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		s.t.Fatal(err)
	}
	var claims struct {
		Access []struct{ Actions []string } `json:"access"`
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		s.t.Fatal(err)
	}
	for _, a := range claims.Access {
		granted = append(granted, a.Actions...)
	}
	return answer.Token, jws.Signatures[0].Header.KeyID, granted
}

// becomes waits until alice is granted this of the repository, and returns how long that took.
func (s *scene) becomes(repository, want string) time.Duration {
	s.t.Helper()
	began, got := time.Now(), ""
	err := stage.Eventually(s.t.Context(), 20*time.Second, func() error {
		_, _, granted := s.token("repository:" + repository + ":pull,push")
		if got = strings.Join(granted, ","); got != want {
			return fmt.Errorf("%s grants %q, want %q", repository, got, want)
		}
		return nil
	})
	if err != nil {
		s.fatal(err)
	}
	return time.Since(began)
}

// accepts says whether the registry takes the token for the repository.
func (s *scene) accepts(token, repository string) bool {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.registry.Address+"/v2/"+repository+"/tags/list", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// crane runs the stock client as alice.
func (s *scene) crane(args ...string) error {
	s.t.Helper()
	config := filepath.Join(s.dir, "docker")
	env := []string{"DOCKER_CONFIG=" + config}
	crane := filepath.Join(controlplane.Root(), "bin", "registry", "crane")
	if _, err := os.Stat(config); err != nil {
		if _, err := stage.Command(s.t.Context(), env, strings.NewReader(password), crane, "auth", "login", s.registry.Host(),
			"--username", "alice", "--password-stdin"); err != nil {
			s.fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	_, err := stage.Command(ctx, env, nil, append([]string{crane}, args...)...)
	return err
}

// push makes an image of one layer and pushes it.
func (s *scene) push(image string) error {
	s.t.Helper()
	layer := filepath.Join(s.dir, "layer.tar")
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	content := []byte("Hello.\n")
	err := w.WriteHeader(&tar.Header{Name: "hello.txt", Mode: 0o644, Size: int64(len(content))})
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, w.Close(), os.WriteFile(layer, text.Bytes(), 0o600)); err != nil {
		s.t.Fatal(err)
	}
	return s.crane("append", "--insecure", "-f", layer, "-t", s.registry.Host()+"/"+image)
}

func (s *scene) pull(image string) error {
	return s.crane("pull", "--insecure", s.registry.Host()+"/"+image, filepath.Join(s.dir, "pulled.tar"))
}
