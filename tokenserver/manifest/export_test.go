package manifest

import (
	"io/fs"
	"time"
)

// Changed is when the system last saw the file change; the zero time where it does not say so.
func Changed(info fs.FileInfo) time.Time {
	at, _ := changed(info)
	return at
}
