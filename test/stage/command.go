package stage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Command runs a program to its end and returns what it printed.
func Command(ctx context.Context, env []string, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin = append(cleanEnvironment(), env...), stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", filepath.Base(args[0]), args[1], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// cleanEnvironment is the caller's environment without what would lead a child to another cluster or registry.
func cleanEnvironment() []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if name != "KUBECONFIG" && name != "DOCKER_CONFIG" && !strings.HasPrefix(name, "REGISTRY") {
			env = append(env, e)
		}
	}
	return env
}

// Answers tells whether an address answers with the status.
func Answers(ctx context.Context, url string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// Eventually tries until the function succeeds or the time is over, and returns the last error.
func Eventually(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
