// Command tokenwright is the manager, the token server and the tools of Tokenwright.
package main

import (
	"os"

	"github.com/tokenwright/tokenwright/cmd"
)

func main() {
	os.Exit(cmd.Execute())
}
