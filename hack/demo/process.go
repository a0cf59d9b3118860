package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that is started again whenever it ends, as the kubelet would, until it is stopped.
type process struct {
	name string
	args []string
	env  []string
	log  *os.File

	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
	held    bool
	exited  chan struct{}
	starts  int
}

// startProcess runs a program under supervision and writes what it says to a file in the demo's folder.
func (d *demo) startProcess(name string, env []string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(d.dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	p := &process{name: name, args: args, env: append(cleanEnvironment(), env...), log: log, exited: make(chan struct{})}
	d.processes = append(d.processes, p)
	if err := p.start(); err != nil {
		close(p.exited)
		p.stopped = true
		return nil, err
	}
	go p.supervise()
	return p, nil
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

func (p *process) start() error {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	// A group of its own: Ctrl-C reaches the demo, and the demo stops its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd = cmd
	p.starts++
	return nil
}

func (p *process) supervise() {
	defer close(p.exited)
	for {
		_ = p.cmd.Wait()
		for {
			p.mu.Lock()
			if p.stopped {
				p.mu.Unlock()
				return
			}
			if !p.held && p.start() == nil {
				p.mu.Unlock()
				break
			}
			p.mu.Unlock()
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// kill ends the process at once and, until release, keeps it down.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
	_ = p.cmd.Process.Kill()
}

// release lets a killed process be started again.
func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
}

// restarts says how often the process was started again.
func (p *process) restarts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts - 1
}

// stop asks the process to end, and ends it after ten seconds.
func (p *process) stop() {
	p.mu.Lock()
	p.stopped = true
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	p.mu.Unlock()
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	_ = p.log.Close()
}

// printLogs shows the end of what each process said.
func (d *demo) printLogs(w io.Writer) {
	for _, p := range d.processes {
		data, err := os.ReadFile(filepath.Join(d.dir, p.name+".log"))
		if err != nil || len(data) == 0 {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		lines = lines[max(0, len(lines)-15):]
		fmt.Fprintf(w, "\n--- last lines of %s ---\n%s\n", p.name, bytes.Join(lines, []byte("\n")))
	}
}

// command runs a program to its end and returns what it printed.
func command(ctx context.Context, env []string, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin = append(cleanEnvironment(), env...), stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", filepath.Base(args[0]), args[1], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// freeAddress is an address on loopback that nobody listened on a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// eventually tries until the function succeeds or the time is over, and returns the last error.
func eventually(ctx context.Context, limit time.Duration, try func() error) error {
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
