package policy

import (
	"weak"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

// Compiler compiles policies as CompileAccessPolicy and CompileClusterAccessPolicy do, and compiles an expression once
// for all policies that have it, as those do that were made from one template: it is by far the dearest part of a
// policy, in time and in memory. What no policy has any more is not kept. It must not be used by two goroutines at once.
// The zero value is ready.
type Compiler struct {
	programs map[string]weak.Pointer[expr.Program]
	// sweepAt is the number of programs at which those that have gone are looked for.
	sweepAt int
}

// leastSweep is the fewest programs that are worth a look for those that have gone.
const leastSweep = 1024

// AccessPolicy is CompileAccessPolicy.
func (c *Compiler) AccessPolicy(p *v1alpha1.AccessPolicy) (*Policy, []Problem) {
	return compileAccessPolicy(p, c.program)
}

// ClusterAccessPolicy is CompileClusterAccessPolicy.
func (c *Compiler) ClusterAccessPolicy(p *v1alpha1.ClusterAccessPolicy) (*Policy, []Problem) {
	return compileClusterAccessPolicy(p, c.program)
}

// program returns the program of an expression. One that does not compile is not remembered: no server does that often.
func (c *Compiler) program(text string) (*expr.Program, error) {
	if known := c.programs[text].Value(); known != nil {
		return known, nil
	}
	program, err := expr.Compile(text)
	if err != nil {
		return nil, err
	}
	c.sweep()
	c.programs[text] = weak.Make(program)
	return program, nil
}

// sweep forgets the texts of programs that have gone, each time the number of texts has doubled.
func (c *Compiler) sweep() {
	if c.programs == nil {
		c.programs = map[string]weak.Pointer[expr.Program]{}
	}
	if len(c.programs) < max(c.sweepAt, leastSweep) {
		return
	}
	for text, program := range c.programs {
		if program.Value() == nil {
			delete(c.programs, text)
		}
	}
	c.sweepAt = 2 * len(c.programs)
}
