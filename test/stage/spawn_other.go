//go:build !linux

package stage

import "syscall"

// childAttributes put a child into a process group of its own, so that Ctrl-C reaches the parent only, which stops its
// children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
