// Kubectl stands in for the program of that name. It makes configmaps of files, as the
// real one does, and nothing else.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run understands "create configmap NAME --from-file=PATH".
func run(args []string) error {
	if len(args) < 3 || args[0] != "create" || args[1] != "configmap" {
		return fmt.Errorf("this stand-in makes configmaps only, not %q", args)
	}
	flags := flag.NewFlagSet("create configmap", flag.ContinueOnError)
	from := flags.String("from-file", "", "the file that is put into it")
	flags.String("namespace", "default", "ignored")
	flags.String("context", "", "ignored")
	if err := flags.Parse(args[3:]); err != nil {
		return err
	}
	text, err := os.ReadFile(*from)
	if err != nil {
		return err
	}
	server, err := server()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": args[2]}, "data": map[string]any{filepath.Base(*from): string(text)}})
	if err != nil {
		return err
	}
	answer, err := http.Post(server+"/api/v1/namespaces/default/configmaps", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return errors.New(answer.Status)
	}
	fmt.Printf("configmap/%s created\n", args[2])
	return nil
}

var address = regexp.MustCompile(`"?server"?: "?(http://[^"\s,}]+)`)

// server is the first one that the configuration names.
func server() (string, error) {
	text, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		return "", err
	}
	found := address.FindSubmatch(text)
	if found == nil {
		return "", errors.New("the configuration names no server")
	}
	return string(found[1]), nil
}
