// Command tokenwright is the manager, the token server and the tools of Tokenwright.
package main

import (
	"os"
	"runtime"

	"github.com/tokenwright/tokenwright/cmd"
)

func main() {
	// Nothing here reads the profile of allocations, which a library that could read it switches on.
	runtime.MemProfileRate = 0
	os.Exit(cmd.Execute())
}
