package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Case is one figure. Ratio is what the target is about: Value as a share of Limit, or Limit as a share of Value where
// less is better, so that a target is met from 1 on; a Target that is not about a limit is the limit.
type Case struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is what was measured beside it in the same run, or what must not be exceeded.
	Limit  float64 `json:"limit"`
	Ratio  float64 `json:"ratio"`
	Target float64 `json:"target"`
	Met    bool    `json:"met"`

	// note is for the table only.
	note string
}

// share is a rate of tokens, whose target is a share of the rate that was measured beside it.
func share(name string, value, limit, ratio, target float64, note string) Case {
	return Case{Name: name, Value: round(value), Unit: "tokens/s", Limit: round(limit), Ratio: round(ratio), Target: target, Met: ratio >= target, note: note}
}

// atMost is a case in which the value must not exceed the limit.
func atMost(name string, value, limit float64, unit, note string) Case {
	ratio := 1.0
	if limit > 0 {
		ratio = value / limit
	} else if value > 0 {
		ratio = value + 1
	}
	return Case{Name: name, Value: round(value), Unit: unit, Limit: limit, Ratio: round(ratio), Target: 1, Met: ratio <= 1, note: note}
}

// round keeps four digits: there are no more in a measurement.
func round(f float64) float64 {
	rounded, err := strconv.ParseFloat(fmt.Sprintf("%.4g", f), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0
	}
	return rounded
}

// Report is bin/bench.json.
type Report struct {
	Machine Machine `json:"machine"`
	Cases   []Case  `json:"cases"`
}

func (r *Report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// print writes a table for people.
func (r *Report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join([]string{"CASE", "VALUE", "LIMIT", "UNIT", "RATIO", "TARGET", "MET", "NOTE"}, "\t"))
	for _, c := range r.Cases {
		met, relation := "yes", ">="
		if c.Target == 1 {
			relation = "<="
		}
		if !c.Met {
			met = "NO"
		}
		fmt.Fprintf(table, "%s\t%g\t%g\t%s\t%.3g\t%s %g\t%s\t%s\n", c.Name, c.Value, c.Limit, c.Unit, c.Ratio, relation, c.Target, met, c.note)
	}
	return table.Flush()
}
