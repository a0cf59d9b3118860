package manifest

import (
	"io/fs"
	"syscall"
	"time"
)

// changed is when the system last saw the file change. Whoever writes a file can set the time of its content back, as tar and
// rsync do, but not this one.
func changed(info fs.FileInfo) (time.Time, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(stat.Ctimespec.Unix()), true
}
