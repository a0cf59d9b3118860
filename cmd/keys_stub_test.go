package cmd

import "testing"

func (b *keysBench) testRevoke(t *testing.T) {}
func (b *keysBench) testPlugin(t *testing.T) {}
