//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

// Processes are not pinned here; the ratios are those of processes that may use every core.

func cores() []int { return nil }

func pinSelf(int) error { return errors.ErrUnsupported }

func startPinned(cmd *exec.Cmd, _ int) error { return cmd.Start() }
