package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"
)

// raw says what a test has written down, envelope included, so that a test can
// have any definition and any answer without a mode of its own. The file is read
// for every request: a test that replaces it changes the server.
var raw = mode{
	name:  "raw",
	about: `a plain server, save for the methods in the JSON file -answers: {METHOD: [MESSAGE, ...]}; "$id" in a message is the request's id, $n counts the requests; the answer to a question is awaited`,
	start: func(s *server) error {
		_, err := readAnswers(s.opt.answers)
		return err
	},
	request: func(ctx context.Context, s *server, ex *exchange) bool {
		answers, err := readAnswers(s.opt.answers)
		if err != nil {
			fmt.Fprintln(os.Stderr, "hostile:", err)
			return false
		}
		messages := answers[ex.method]
		if len(messages) == 0 {
			return false
		}
		count := s.count()
		for i, message := range messages {
			message = bytes.ReplaceAll(message, []byte(`"$id"`), ex.id)
			message = bytes.ReplaceAll(message, []byte("$n"), strconv.AppendInt(nil, int64(count), 10))
			if i == len(messages)-1 {
				ex.raw(message)
				break
			}
			answer := s.expect(message)
			ex.peer.message(message)
			select {
			case <-answer:
			case <-time.After(questionPatience):
			case <-ctx.Done():
			}
		}
		return true
	},
}

// questionPatience is how long a question may stay without an answer, which is the
// lot of one that no client understands.
const questionPatience = time.Second

// expect has the answer to the message if it is a question whose id is a text; for
// any other message the channel is closed.
func (s *server) expect(message []byte) <-chan json.RawMessage {
	answer := make(chan json.RawMessage, 1)
	var e envelope
	var id string
	if json.Unmarshal(message, &e) != nil || !e.isRequest() || json.Unmarshal(e.ID, &id) != nil {
		close(answer)
		return answer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[id] = answer
	return answer
}

func readAnswers(path string) (map[string][]json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var answers map[string][]json.RawMessage
	if err := json.Unmarshal(text, &answers); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return answers, nil
}

// count is how many requests were answered from the file, this one included.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fromFile++
	return s.fromFile
}
