package stage

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Processes are programs that are started again whenever they end, as the kubelet would, until they are stopped. Stop
// must be called.
type Processes struct {
	// Dir is where each writes what it says, into <name>.log.
	Dir string

	mu   sync.Mutex
	list []*Process
}

// Process is one of them.
type Process struct {
	name string
	args []string
	env  []string
	log  *os.File

	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
	held    bool
	down    bool
	exited  chan struct{}
	starts  int
}

// Start runs a program under supervision. The name is new.
func (p *Processes) Start(name string, env []string, args ...string) (*Process, error) {
	log, err := os.Create(filepath.Join(p.Dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("create a log: %w", err)
	}
	child := &Process{name: name, args: args, env: append(cleanEnvironment(), env...), log: log, exited: make(chan struct{})}
	if err := child.start(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.list = append(p.list, child)
	p.mu.Unlock()
	go child.supervise()
	return child, nil
}

// Stop stops all of them, and returns when they have ended.
func (p *Processes) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all sync.WaitGroup
	for _, child := range p.list {
		all.Go(child.stop)
	}
	all.Wait()
}

// PrintLogs shows the end of what each process said.
func (p *Processes) PrintLogs(w io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, child := range p.list {
		data, err := os.ReadFile(filepath.Join(p.Dir, child.name+".log"))
		if err != nil || len(data) == 0 {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		lines = lines[max(0, len(lines)-15):]
		fmt.Fprintf(w, "\n--- last lines of %s ---\n%s\n", child.name, bytes.Join(lines, []byte("\n")))
	}
}

// spawn starts commands on one thread that lives as long as this process: the kernel sends a child its parent's death
// signal when the thread that started it ends.
var spawn = sync.OnceValue(func() func(*exec.Cmd) error {
	commands, results := make(chan *exec.Cmd), make(chan error)
	go func() {
		runtime.LockOSThread()
		for cmd := range commands {
			results <- cmd.Start()
		}
	}()
	var one sync.Mutex
	return func(cmd *exec.Cmd) error {
		one.Lock()
		defer one.Unlock()
		commands <- cmd
		return <-results
	}
})

func (p *Process) start() error {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	cmd.SysProcAttr = childAttributes()
	if err := spawn()(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.down = cmd, false
	p.starts++
	return nil
}

func (p *Process) supervise() {
	defer close(p.exited)
	for {
		_ = p.cmd.Wait()
		for first := true; ; first = false {
			p.mu.Lock()
			p.down = true
			if p.stopped {
				p.mu.Unlock()
				return
			}
			if !p.held && p.start() == nil {
				p.mu.Unlock()
				break
			}
			p.mu.Unlock()
			if !first {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
}

// Kill ends the process at once and, until Release, keeps it down.
func (p *Process) Kill() { p.hold(syscall.SIGKILL) }

func (p *Process) hold(signal os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
	_ = p.cmd.Process.Signal(signal)
}

// Release lets a killed process be started again.
func (p *Process) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
}

// Restart stops the process in order, waits for its end, and lets it be started again.
func (p *Process) Restart() {
	p.hold(syscall.SIGTERM)
	for end := time.Now().Add(10 * time.Second); !p.isDown(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.Kill()
		}
	}
	p.Release()
}

func (p *Process) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

// Name is what it was started as.
func (p *Process) Name() string { return p.name }

// Restarts says how often the process was started again.
func (p *Process) Restarts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts - 1
}

// stop asks the process to end, and ends it after ten seconds.
func (p *Process) stop() {
	p.mu.Lock()
	p.stopped = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.mu.Unlock()
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	_ = p.log.Close()
}
