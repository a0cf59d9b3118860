package offline

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// heading begins the part of the README whose commands are run.
const heading = "## Without a cluster\n"

// commands are those of the README, in order.
func commands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), heading)
	_, block, opened := strings.Cut(part, "```console\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !opened || !closed {
		t.Fatalf("no commands below %q", heading)
	}
	var out []string
	for line := range strings.Lines(block) {
		command, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "$ ")
		if !is {
			t.Fatalf("%q is no command", line)
		}
		out = append(out, command)
	}
	return out
}

// TestTheREADME runs the commands of the README as they stand, but for the ports, which others may use here.
func TestTheREADME(t *testing.T) {
	lines := commands(t)
	if len(lines) != 10 {
		t.Errorf("it says ten lines, and has %d", len(lines))
	}
	dir := t.TempDir()
	for _, name := range []string{"config", "README.md", "bin/registry"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(controlplane.Root(), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "tokenwright")); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(lines, "\n")
	for _, port := range []string{"5000", "8480", "8481"} {
		_, other, _ := strings.Cut(free(t), ":")
		if !strings.Contains(script, "localhost:"+port) {
			t.Errorf("there is no port %s", port)
		}
		script = strings.ReplaceAll(script, "localhost:"+port, "localhost:"+other)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script) //nolint:gosec // our own README
	shell.Dir = dir
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	var said bytes.Buffer
	shell.Stdout, shell.Stderr = &said, &said
	err := shell.Run()
	_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) // whatever it has left
	if err != nil || strings.Count(said.String(), "Refused: no policy speaks of team-b") != 1 {
		for _, name := range []string{"server.log", "registry.log"} {
			log, _ := os.ReadFile(filepath.Join(dir, "try", name))
			t.Logf("%s:\n%s", name, log)
		}
		t.Fatalf("%v\n%s", err, said.String())
	}
	if info, err := os.Stat(filepath.Join(dir, "try", "app.tar")); err != nil || info.Size() == 0 {
		t.Errorf("nothing was pulled: %v", err)
	}
}
