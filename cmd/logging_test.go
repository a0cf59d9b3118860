package cmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestLogLevels(t *testing.T) {
	cases := map[string]struct {
		reason, level string
		lines         int
		wantErr       string
	}{
		"error":   {"only what somebody has to look at", "error", 1, ""},
		"info":    {"what happened", "info", 2, ""},
		"debug":   {"everything", "debug", 3, ""},
		"unknown": {"a typing error must not silence the log", "loud", 0, "must be error, info or debug"},
		"empty":   {"as above", "", 0, "must be error, info or debug"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, err := newLogger(c.level, &out)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Errorf("%s: got error %v, want %q", c.reason, err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.Error(nil, "Broke")
			log.Info("Happened")
			log.V(1).Info("Looked")
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != c.lines {
				t.Errorf("%s: got %d lines, want %d:\n%s", c.reason, len(lines), c.lines, out.String())
			}
			for _, line := range lines {
				if !json.Valid([]byte(line)) {
					t.Errorf("not a JSON object: %s", line)
				}
			}
		})
	}
}
