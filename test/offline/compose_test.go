package offline

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// compose is the part of a Compose file that says how programs are run.
type compose struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Volumes     []string
	}
	Volumes map[string]any
}

func composeFile(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "without-a-cluster.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(services:.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no Compose file")
	}
	var file compose
	if err := yaml.Unmarshal(block[1], &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTheComposeFile runs what the page's Compose file runs, with folders in the place of volumes and without containers.
func TestTheComposeFile(t *testing.T) {
	file := composeFile(t)
	s := prepare(t)
	s.write("key.yaml", strings.Replace(fmt.Sprintf(keyManifest, "0"), "configMapName: trust", "configMapName: registry-keys", 1))
	server, registry := file.Services["tokenwright"], file.Services["registry"]
	// The volume of what is public lies within that of the keys.
	paths := map[string]string{
		"/manifests": filepath.Join(s.dir, "manifests"), "/var/lib/tokenwright": filepath.Join(s.dir, "state"),
		"/var/lib/tokenwright/public": filepath.Join(s.dir, "state", "public"),
	}
	mounts := map[string]string{}
	for _, volume := range server.Volumes {
		parts := strings.Split(volume, ":")
		mounts[parts[0]] = paths[parts[1]]
		if mounts[parts[0]] == "" {
			t.Fatalf("the volume %q is mounted where nothing is expected", volume)
		}
	}
	if len(mounts) != len(paths) {
		t.Errorf("the server has %v", mounts)
	}
	address, port := "localhost:8480", free(t)
	here := func(text string) string {
		text = strings.ReplaceAll(text, address, strings.TrimPrefix(s.url, "http://"))
		text = strings.Replace(text, "=:8480", "="+strings.TrimPrefix(s.url, "http://"), 1)
		text = strings.ReplaceAll(text, "=/var/lib/tokenwright", "="+paths["/var/lib/tokenwright"])
		return strings.ReplaceAll(text, "=/manifests", "="+paths["/manifests"])
	}
	args := []string{binary}
	for _, arg := range server.Command {
		args = append(args, here(arg))
	}
	var err error
	if s.server, err = s.processes.Start("server", nil, append(args, "--health-listen="+s.health)...); err != nil {
		s.fatal(err)
	}
	s.ready()

	trust := ""
	for _, volume := range registry.Volumes {
		if parts := strings.Split(volume, ":"); parts[1] == "/trust" {
			trust = mounts[parts[0]]
		}
	}
	if trust != paths["/var/lib/tokenwright/public"] {
		t.Fatalf("the registry is given %q: private keys are none of its business", trust)
	}
	env := []string{"REGISTRY_HTTP_ADDR=" + port, "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=" + filepath.Join(s.dir, "images")}
	for name, value := range registry.Environment {
		env = append(env, name+"="+strings.ReplaceAll(here(value), "/trust/", trust+"/"))
	}
	config := filepath.Join(s.dir, "config.yml") // what matters here of the one that the image has
	if err := os.WriteFile(config, []byte("version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.processes.Start("registry", env, stage.Distribution3(), "serve", config); err != nil {
		s.fatal(err)
	}
	s.registry = stage.Registry{Address: port}
	if err := s.registry.Ready(t.Context()); err != nil {
		s.fatal(err)
	}
	if err := s.push("team-a/app:v1"); err != nil {
		s.fatal(err)
	}
	if err := s.push("team-b/app:v1"); err == nil {
		t.Error("the registry takes what nobody allowed")
	}
	if status, _ := s.get("http://"+port+"/v2/", "", ""); status != http.StatusUnauthorized {
		t.Errorf("whoever has no token is answered with %d", status)
	}
}
