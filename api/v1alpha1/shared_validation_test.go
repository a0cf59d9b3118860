package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
)

// durationCases are the rules of a Duration at the path, beside those of its field.
func durationCases(path string, spec func(string) m) map[string]ruleCase {
	match := path + " in body should match"
	cases := map[string]ruleCase{
		path + " as hours is accepted":                  {spec: spec("24h")},
		path + " with all units is accepted":            {spec: spec("2h30m15s")},
		path + " in days is refused":                    {spec: spec("90d"), want: match},
		path + " with eight digits is refused":          {spec: spec("99999999h"), want: match},
		path + " with four parts is refused":            {spec: spec("1h1m1s1s"), want: match},
		path + " with a sign is refused":                {spec: spec("-15m"), want: match},
		path + " with a fraction is refused":            {spec: spec("1.5h"), want: match},
		path + " without a unit is refused":             {spec: spec("15"), want: match},
		path + " in milliseconds is refused":            {spec: spec("900000ms"), want: match},
		path + " with a line break is refused":          {spec: spec("15m\n"), want: match},
		path + " with digits of another script refused": {spec: spec("١٥m"), want: match},
		path + " that is empty is refused":              {spec: spec(""), want: path + " in body should be at least 2 chars long"},
		path + " of one character is refused":           {spec: spec("h"), want: path + " in body should be at least 2 chars long"},
		path + " of 19 characters is refused":           {spec: spec("0" + "99999h99999h99999h"), want: path + ": Too long"},
	}
	return cases
}

// timeCases are the rules of a DateTime at the path.
func timeCases(path string, spec func(string) m) map[string]ruleCase {
	match := path + " in body should match"
	return map[string]ruleCase{
		path + " in UTC is accepted":           {spec: spec("2026-01-01T00:00:00Z")},
		path + " in another zone is accepted":  {spec: spec("2026-01-01T00:00:00+05:30")},
		path + " in lower case is refused":     {spec: spec("2026-01-01t00:00:00z"), want: match},
		path + " without a zone is refused":    {spec: spec("2026-01-01T00:00:00+"), want: match},
		path + " with a fraction is refused":   {spec: spec("2026-01-01T00:00:00.5Z"), want: match},
		path + " without a time is refused":    {spec: spec("2026-01-01"), want: path + " in body should be at least 20 chars long"},
		path + " in the 13th month is refused": {spec: spec("2026-13-01T00:00:00Z"), want: match},
		path + " on the 32nd is refused":       {spec: spec("2026-01-32T00:00:00Z"), want: match},
		path + " at 24 o'clock is refused":     {spec: spec("2026-01-01T24:00:00Z"), want: match},
		path + " in a 61st second is refused":  {spec: spec("2026-01-01T00:00:60Z"), want: match},
		path + " of 26 characters is refused":  {spec: spec("2026-01-01T00:00:00+05:30Z"), want: path + ": Too long"},
	}
}

// audienceCases are the rules of an Audience in the list at the path.
func audienceCases(path string, spec func(string) m) map[string]ruleCase {
	match := path + "[0] in body should match"
	return map[string]ruleCase{
		path + " with a host and port is accepted":    {spec: spec("registry.example.com:5000")},
		path + " with a space inside is accepted":     {spec: spec("Docker registry")},
		path + " of 253 characters is accepted":       {spec: spec(strings.Repeat("x", 253))},
		path + " of 254 characters is refused":        {spec: spec(strings.Repeat("x", 254)), want: path + "[0]: Too long"},
		path + " that is empty is refused":            {spec: spec(""), want: path + "[0] in body should be at least 1 chars long"},
		path + " that begins with a space is refused": {spec: spec(" x"), want: match},
		path + " that ends with a space is refused":   {spec: spec("x "), want: match},
		path + " with a line break is refused":        {spec: spec("a\nb"), want: match},
		path + " with an umlaut is refused":           {spec: spec("ä"), want: match},
	}
}

// ready is a condition; changes are laid over it.
func ready(changes m) m {
	return merged(m{
		"type": "Ready", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
	}, changes)
}

// objectCases are the rules of every kind: that there is a spec, and those of the conditions.
func objectCases() map[string]ruleCase {
	since := func(t string) m { return m{"conditions": l{ready(m{"lastTransitionTime": t})}} }
	conditions := func(n int) l {
		return many(n, func(i int) any { return ready(m{"type": fmt.Sprint("T", i)}) })
	}
	const inUpperCase = "lastTransitionTime must be an RFC 3339 time in upper case"
	cases := map[string]ruleCase{
		"eight conditions are accepted":                       {status: m{"conditions": conditions(8)}},
		"nine conditions are refused":                         {status: m{"conditions": conditions(9)}, want: "must have at most 8 items"},
		"a condition given twice is refused":                  {status: m{"conditions": l{ready(nil), ready(nil)}}, want: "status.conditions[1]: Duplicate value"},
		"a transition at a time of another zone is accepted":  {status: since("2026-01-01T00:00:00+05:30")},
		"a transition at a time with a fraction is accepted":  {status: since("2026-01-01T00:00:00.123456789Z")},
		"a transition at no time is refused":                  {status: since("yesterday"), want: "status.conditions[0].lastTransitionTime"},
		"a transition at a time that Go cannot decode is not": {status: since("2026-01-01t00:00:00z"), want: inUpperCase},
		"a transition at a time in an impossible zone is not": {status: since("2026-01-01T00:00:00+99:99"), want: inUpperCase},
		"a transition at a time with junk behind it is not":   {status: since("2026-01-01T00:00:00ZTjunk"), want: inUpperCase},
		"a transition at a time with an odd fraction is not":  {status: since("2026-01-01T00:00:00x5Z"), want: inUpperCase},
	}
	maps.Copy(cases, map[string]ruleCase{
		"an object without a spec is refused":         {specless: true, want: "spec: Required value"},
		"an observed generation is accepted":          {status: m{"observedGeneration": 7}},
		"an observed generation in words is refused":  {status: m{"observedGeneration": "seven"}, want: "must be of type integer"},
		"an observed generation of a fraction is not": {status: m{"observedGeneration": 1.5}, want: "must be of type integer"},
	})
	return cases
}
