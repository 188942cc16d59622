package cli

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// terminalWidth is how many columns a terminal has; 0 if that cannot be told.
func terminalWidth(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(file.Fd()), &info) != nil {
		return 0
	}
	return int(info.Window.Right-info.Window.Left) + 1
}
