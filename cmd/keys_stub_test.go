package cmd

import "testing"

func (b *keysBench) testPlugin(t *testing.T) {}
