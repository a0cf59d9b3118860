package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// anyCore starts a process that is not pinned.
const anyCore = -1

// process is a program under measurement.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// start runs a program; what it says is in dir/name.log. The environment is added to this one, without a KUBECONFIG of
// the person who measures.
func start(dir, name string, core int, environment []string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(args[0], args[1:]...), log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Env = append(append(os.Environ(), "KUBECONFIG="), environment...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if core == anyCore {
		err = p.cmd.Start()
	} else {
		err = startPinned(p.cmd, core)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// await tries until the function succeeds, the process ends, or the time is over.
func (p *process) await(ctx context.Context, limit, every time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errors.Join(errors.New("the process ended: "+p.said()), err)
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(every):
		}
	}
}

// said is the end of what the process said.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// stop ends the process in order, or after ten seconds at once.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// processorTime is how long the threads of the process have run. What else the machine does is not in it.
func (p *process) processorTime() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, errors.New("this kernel does not tell the processor time of threads (CONFIG_SCHED_INFO)")
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(nanoseconds)
	}
	return sum, nil
}

// memory is what the process has in memory, and the most that it ever had, in MiB.
func (p *process) memory() (resident, peak float64) {
	read := func(name string) float64 {
		value := field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), name)
		kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(value, " kB"), 64)
		return kilobytes / 1024
	}
	return read("VmRSS"), read("VmHWM")
}
