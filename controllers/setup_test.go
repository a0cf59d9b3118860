package controllers

import (
	"strings"
	"testing"
	"time"
)

func TestOptionsAreValidated(t *testing.T) {
	cases := map[string]struct {
		reason  string
		options Options
		want    string
	}{
		"two namespaces": {
			reason: "that is how it should be", options: Options{Namespace: "a", CANamespace: "b", ClockSkew: time.Minute},
		},
		"one namespace for all": {
			reason: "servers could read the certificate authority's key", options: Options{Namespace: "a", CANamespace: "a"},
			want: "must not be in the system namespace",
		},
		"no system namespace": {
			reason: "an empty name means every namespace to a cache", options: Options{CANamespace: "b"}, want: "must be given",
		},
		"no namespace for the certificate authorities": {
			reason: "as above", options: Options{Namespace: "a"}, want: "must be given",
		},
		"clocks that are less than right": {
			reason:  "a key would sign before it is known",
			options: Options{Namespace: "a", CANamespace: "b", ClockSkew: -time.Minute}, want: "must not be negative",
		},
	}
	if err := AddToManager(nil, Options{}); err == nil {
		t.Errorf("the controllers were added with options that make no sense")
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.options.validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
		})
	}
}
