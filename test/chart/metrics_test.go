package chart

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// A rule over a metric that nobody exports never fires, and looks as if all were well. So the processes run, and are asked
// for what each rule selects: the metric, with these labels and, where the rule says which, these values.
func TestAlertsSpeakOfMetricsThatAreExported(t *testing.T) {
	own, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Stop() })
	for _, name := range []string{SystemNamespace, caNamespace} {
		if err := own.CreateNamespace(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: SystemNamespace, Name: "registry"}}
	key.Spec.Audiences = []v1alpha1.Audience{"registry.example.com"}
	if err := own.Client.Create(t.Context(), key); err != nil {
		t.Fatal(err)
	}

	binary, kubeconfig := built(t), kubeconfigFor(t, own)
	addresses := freeAddresses(t, 3)
	runProcess(t, binary, "manager", "--kubeconfig="+kubeconfig, "--metrics-listen="+addresses[0], "--health-listen=0")
	runProcess(t, binary, "server", "--kubeconfig="+kubeconfig, "--issuer=https://tokens.example.com",
		"--listen="+addresses[1], "--health-listen="+addresses[2], "--audit-file="+os.DevNull)

	wanted := selectorsOf(t)
	deadline := time.Now().Add(3 * time.Minute)
	for {
		// Requests are counted from the first on.
		_, _ = get("http://" + addresses[1] + "/token?service=registry.example.com")
		exported := exportedBy("http://"+addresses[0]+"/metrics", "http://"+addresses[2]+"/metrics")
		var missing []string
		for _, s := range wanted {
			if !s.in(exported) {
				missing = append(missing, s.text)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody exports\n%s", strings.Join(missing, "\n"))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// selector is what a rule asks for: a metric, names of labels, and values where they are given.
type selector struct {
	text, metric string
	labels       map[string]string
}

var (
	selection = regexp.MustCompile(`([a-zA-Z_:]+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-z_]+)(=~|!=|!~|=)"([^"]*)"`)
)

func selectorsOf(t *testing.T) []selector {
	t.Helper()
	var all []selector
	for _, r := range alertsByName(t) {
		for _, found := range selection.FindAllStringSubmatch(r.Expr, -1) {
			s := selector{text: found[0], metric: found[1], labels: map[string]string{}}
			for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
				switch {
				case m[1] == "namespace": // it comes from the target
				case m[2] == "=":
					s.labels[m[1]] = m[3]
				default:
					s.labels[m[1]] = ""
				}
			}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		t.Fatal("found no selectors in the rules")
	}
	return all
}

// in says whether a line of the metrics is what the selector asks for.
func (s selector) in(lines []string) bool {
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, s.metric)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		all := true
		for label, value := range s.labels {
			want := label + `="` + value
			if value != "" {
				want += `"`
			}
			all = all && (strings.Contains(rest, "{"+want) || strings.Contains(rest, ","+want))
		}
		if all {
			return true
		}
	}
	return false
}

func exportedBy(urls ...string) []string {
	var lines []string
	for _, url := range urls {
		body, err := get(url)
		if err == nil {
			lines = append(lines, strings.Split(body, "\n")...)
		}
	}
	return lines
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// freeAddresses are addresses that nobody listened on a moment ago.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		var err error
		if addresses[i], err = stage.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	return addresses
}

// runProcess runs the program until the test ends, and shows what it said if the test has failed.
func runProcess(t *testing.T, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		killed.Stop()
		_ = log.Close()
		if said, readErr := os.ReadFile(log.Name()); t.Failed() && readErr == nil {
			t.Logf("%s ended with %v and had said\n%s", args[0], err, said)
		}
	})
}

// kubeconfigFor is a file with an administrator's rights.
func kubeconfigFor(t *testing.T, p *controlplane.Plane) string {
	t.Helper()
	admin, err := p.Environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := admin.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// built builds the binary.
func built(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tokenwright")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = controlplane.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build the binary: %w: %s", err, out))
	}
	return binary
}
