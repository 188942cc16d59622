package gateway

import (
	"gatehouse/internal/wire"
)

// maxOwnedTasks of one server are remembered with their owners. A server that
// begins more has its oldest forgotten, which then belong to nobody: no one but the
// owner of a gateway without policies can ask for them.
const maxOwnedTasks = 10_000

// owners says who began the tasks of a server: "receivers … MUST bind tasks to the
// authorization context". Its zero value is ready; the mutex of the server guards
// it.
type owners struct {
	of    map[string]owner // by task id
	order []string         // ids, oldest first
}

// owner is who began a task, and with which tool.
type owner struct{ principal, tool string }

func (o *owners) add(id string, by owner) {
	if _, known := o.of[id]; known || id == "" {
		return // whoever was first keeps it: an id that a server gives out twice is not shared
	}
	if len(o.order) >= maxOwnedTasks {
		delete(o.of, o.order[0])
		o.order = o.order[1:]
	}
	if o.of == nil {
		o.of = map[string]owner{}
	}
	o.of[id] = by
	o.order = append(o.order, id)
}

// ownTask remembers whose the task is that an answer begins.
func (ex *exchange) ownTask(result wire.Value) {
	if ex.msg.Method != wire.MethodToolsCall {
		return
	}
	id := result.At("task", "taskId") // 2025-11-25
	if result.Get("resultType").Text() == "task" {
		id = result.Get("taskId") // 2026-07-28
	}
	if id.Kind() != '"' {
		return
	}
	ex.server.mu.Lock()
	defer ex.server.mu.Unlock()
	ex.server.tasks.add(id.Text(), owner{ex.principal, ex.target})
}

// ownsTask reports whether the task is the principal's own. Where nobody but the
// local user comes in and no policy divides what there is, all tasks are.
func (a *audience) ownsTask(s *server, id string) bool {
	if a == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tasks.of[id].principal == a.who.ID
}

// toolOfTask is the tool that a task runs, "" if it is not known.
func (s *server) toolOfTask(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tasks.of[id].tool
}

// ownTasks takes the tasks of others out of a list.
func (ex *exchange) ownTasks(result wire.Value) ([]wire.Edit, error) {
	if ex.msg.Method != wire.MethodTasksList || ex.audience == nil {
		return nil, nil
	}
	list, err := listIn(result, "tasks")
	if err != nil {
		return nil, err
	}
	return keepOnly(nil, list, func(task wire.Value) bool {
		_, twin := task.Lookalike("taskId")
		return !twin && ex.audience.ownsTask(ex.server, task.Get("taskId").Text())
	}), nil
}
