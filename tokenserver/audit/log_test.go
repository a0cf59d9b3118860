package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sink is a writer whose writes can be held up and made to fail.
type sink struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	writes int
	hold   chan struct{}
	fail   func(line []byte) (int, error)
}

func (s *sink) Write(p []byte) (int, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.fail != nil {
		if n, err := s.fail(p); err != nil {
			s.buffer.Write(p[:n])
			return n, err
		}
	}
	return s.buffer.Write(p)
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestWriteReturnsAfterTheLineIsThere(t *testing.T) {
	s := &sink{}
	l := New(s)
	defer closeLog(t, l)
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			id := fmt.Sprintf("r-%d", n)
			if err := l.Write(&Record{RequestID: id}); err != nil {
				t.Error(err)
			}
			if !strings.Contains(s.text(), `"`+id+`"`) {
				t.Errorf("%s was not there when Write returned", id)
			}
		})
	}
	all.Wait()
	if lines := strings.Count(s.text(), "\n"); lines != 200 {
		t.Errorf("%d lines, want 200", lines)
	}
}

func TestRecordsThatArriveDuringAWriteShareTheNext(t *testing.T) {
	s := &sink{hold: make(chan struct{})}
	l := New(s)
	defer closeLog(t, l)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := l.Write(&Record{}); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return pending(l) > 0 })
	close(s.hold)
	all.Wait()
	if s.writes >= 100 {
		t.Errorf("%d writes for 100 records", s.writes)
	}
}

func TestASinkThatBlocksIsAnErrorWithinSeconds(t *testing.T) {
	s := &sink{hold: make(chan struct{})}
	l := New(s)
	start := time.Now()
	err := l.Write(&Record{})
	if took := time.Since(start); !errors.Is(err, ErrUnavailable) || took > deadline+5*time.Second {
		t.Errorf("err = %v after %s", err, took)
	}
	close(s.hold)
	closeLog(t, l)
}

func TestASinkThatBlocksDoesNotFillTheMemory(t *testing.T) {
	s := &sink{hold: make(chan struct{})}
	l := New(s)
	long := &Record{Subject: strings.Repeat("a", 64<<10)}
	refused := 0
	for range 200 {
		if l.Try(long) != nil {
			refused++
		}
	}
	if got := pending(l); got > maxPending/2 || refused == 0 {
		t.Errorf("%d bytes wait, %d records were refused", got, refused)
	}
	if _, err := l.enqueue(long, maxPending); err != nil {
		t.Errorf("refusals crowded out the record of a token: %v", err)
	}
	for range 200 {
		l.enqueue(long, maxPending) //nolint:errcheck // only the bound matters
	}
	if got := pending(l); got > maxPending {
		t.Errorf("%d bytes wait, more than %d", got, maxPending)
	}
	close(s.hold)
	closeLog(t, l)
}

func TestATornLineDoesNotSpoilTheNext(t *testing.T) {
	failed := false
	s := &sink{fail: func(p []byte) (int, error) {
		if failed {
			return 0, nil
		}
		failed = true
		return len(p) / 2, errors.New("no space left on device")
	}}
	l := New(s)
	defer closeLog(t, l)
	if err := l.Write(&Record{RequestID: "torn"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	if err := l.Write(&Record{RequestID: "whole"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(s.text()), "\n")
	var last Record
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.RequestID != "whole" || len(lines) != 2 {
		t.Errorf("lines = %q, err = %v", lines, err)
	}
}

func TestAClosedLogRefuses(t *testing.T) {
	s := &sink{}
	l := New(s)
	if err := l.Try(&Record{RequestID: "last"}); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	if !strings.Contains(s.text(), "last") {
		t.Error("Close lost what waited")
	}
	if err := l.Write(&Record{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	closeLog(t, l)
}

func TestNothingThatAClientSendsBeginsALine(t *testing.T) {
	s := &sink{}
	l := New(s)
	defer closeLog(t, l)
	evil := "a\n{\"outcome\":\"issued\"}\r\n\u2028\x00\xff</script>"
	record := &Record{ClientID: Claimed(evil), Account: Claimed(evil), Subject: evil, Audience: evil, Requested: []string{evil}, Granted: []string{}}
	if err := l.Write(record); err != nil {
		t.Fatal(err)
	}
	if got := s.text(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x00\u2028") || !json.Valid([]byte(got)) {
		t.Errorf("line = %q", got)
	}
}

func TestBounded(t *testing.T) {
	cases := map[string]struct{ reason, in, want string }{
		"Short":                 {"what is short stays as it is", "docker", "docker"},
		"Long":                  {"the cut is marked", "0123456789", "01234567…"},
		"Cut within a rune":     {"half a rune is not text", "0123456é9", "0123456\uFFFD…"},
		"Control characters":    {"they can move a terminal's cursor", "a\x1b[2Jb\x7f", "a\uFFFD[2Jb\uFFFD"},
		"C1 control characters": {"they are control characters too", "a\u009bb", "a\uFFFDb"},
		"Not UTF-8":             {"JSON cannot hold it", "a\xffb", "a\uFFFDb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Bounded(tc.in, 8)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAFileIsAppendedToAndPrivate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	for range 2 {
		file, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		l := New(file)
		if err := l.Write(&Record{}); err != nil {
			t.Error(err)
		}
		closeLog(t, l)
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || bytes.Count(content, []byte("\n")) != 2 {
		t.Errorf("mode = %v, content = %q", info.Mode(), content)
	}
}

func TestTheStandardOutputStaysOpen(t *testing.T) {
	out, err := Open(Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stdout.Stat(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func pending(l *Log) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.next.lines)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within 5 s")
		}
	}
}
