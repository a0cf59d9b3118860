//go:build unix && !solaris && !aix

package state

import (
	"io/fs"
	"os"
	"syscall"
)

// lock takes the file for this process. The kernel gives it free when the process ends.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// owned says whether the file belongs to the user that the process runs as, or, where that will do, to the administrator.
func owned(info fs.FileInfo, administrators bool) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	return int(stat.Uid) == os.Geteuid() || administrators && stat.Uid == 0
}
