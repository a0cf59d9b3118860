package cmd

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

// The elements of JUnit's XML that tools read. The encoder escapes what XML knows, and replaces what it cannot hold.
type (
	junitReport struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitMessage `xml:"failure,omitempty"`
		Error   *junitMessage `xml:"error,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func junitOf(s suite) junitSuite {
	j := junitSuite{Name: s.file}
	for _, r := range s.results {
		one := junitCase{Name: r.Case.Name, Class: s.file}
		if !r.Holds() {
			lines := failureLines(r)
			one.Failure = &junitMessage{Message: lines[0], Text: described(r.Request) + "\n" + strings.Join(lines, "\n")}
			j.Failures++
		}
		j.Cases = append(j.Cases, one)
	}
	for _, e := range s.errors {
		j.Cases = append(j.Cases, junitCase{Name: e.name, Class: s.file, Error: &junitMessage{Message: e.err.Error()}})
		j.Errors++
	}
	j.Tests = len(j.Cases)
	return j
}

func writeJUnit(path string, suites []suite) error {
	var report junitReport
	for _, s := range suites {
		j := junitOf(s)
		report.Suites = append(report.Suites, j)
		report.Tests, report.Failures, report.Errors = report.Tests+j.Tests, report.Failures+j.Failures, report.Errors+j.Errors
	}
	var text bytes.Buffer
	text.WriteString(xml.Header)
	encoder := xml.NewEncoder(&text)
	encoder.Indent("", "  ")
	if err := encoder.Encode(report); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	text.WriteByte('\n')
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
