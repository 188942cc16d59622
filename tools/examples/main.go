// Command examples writes the samples of all rules as a corpus for `gatehouse rules
// eval`, one JSON object a line: what acts as an attack, what stays silent as benign.
// Cases that are only reported are neither. It runs in the root of the repository.
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/rule"
	"gatehouse/internal/rule/sample"
	"gatehouse/internal/rules"
)

func main() {
	log.SetFlags(0)
	out := bufio.NewWriter(os.Stdout)
	if err := write(out, rules.All()); err != nil {
		log.Fatal("examples: ", err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal("examples: ", err)
	}
}

func write(out io.Writer, list []rule.Rule) error {
	encoder := json.NewEncoder(out)
	for _, r := range list {
		if r.Exposure {
			continue // it finds data, not attacks
		}
		rows, err := examples(r)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := encoder.Encode(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// row is a line of a corpus, as evaluate.Row reads it.
type row struct {
	ID         string           `json:"id"`
	Surface    string           `json:"surface"`
	Label      string           `json:"label"`
	Category   string           `json:"category"`
	Source     string           `json:"source"`
	Text       string           `json:"text"`
	Server     string           `json:"server,omitempty"`
	Owner      string           `json:"owner,omitempty"`
	Name       string           `json:"name,omitempty"`
	Key        *string          `json:"key,omitempty"`
	IsKey      bool             `json:"isKey,omitempty"`
	Neighbours []rule.Neighbour `json:"neighbours,omitempty"`
	Known      []string         `json:"known,omitempty"`
}

func examples(r rule.Rule) (rows []row, err error) {
	cases, err := sample.Cases(filepath.Join("internal", "rules", strings.ReplaceAll(r.ID, "-", "")), r)
	if err != nil {
		return nil, err
	}
	bad, good, err := sample.Documented(r)
	if err != nil {
		return nil, err
	}
	add := func(label string, s sample.Sample) {
		subject := s.Subject
		if subject.Text == "" {
			return // nothing to look at
		}
		one := row{
			ID: r.ID + "/" + s.Name, Surface: subject.Surface.String(), Label: label, Category: r.ID, Source: "documentation", Text: subject.Text,
			Server: subject.Server, Owner: subject.Owner, Name: subject.Name, IsKey: subject.IsKey, Neighbours: subject.Neighbours, Known: subject.Known,
		}
		if subject.Key != "" {
			one.Key = &subject.Key
		}
		if s.Archive != nil {
			one.Source = "cases"
		}
		rows = append(rows, one)
	}
	for _, s := range cases {
		switch {
		case s.Acts():
			add("attack", s)
		case s.Silent():
			add("benign", s)
		}
	}
	for _, s := range bad {
		add("attack", s)
	}
	for _, s := range good {
		add("benign", s)
	}
	return rows, nil
}
