// gorilla/websocket: /echo sends back, and what one says at /all, all get.
package main

import (
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

// A member is a connection with the lock that a connection needs: one writer at a time.
type member struct {
	sync.Mutex
	*websocket.Conn
}

var (
	upgrader = websocket.Upgrader{}
	lock     sync.RWMutex
	members  = map[*member]bool{}
)

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, data) != nil {
			return
		}
	}
}

func publish(kind int, data []byte) {
	message, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		return
	}
	lock.RLock()
	defer lock.RUnlock()
	for other := range members {
		other.Lock()
		other.WritePreparedMessage(message)
		other.Unlock()
	}
}

func all(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	self := &member{Conn: conn}
	lock.Lock()
	members[self] = true
	lock.Unlock()
	defer func() {
		lock.Lock()
		delete(members, self)
		lock.Unlock()
		conn.Close()
	}()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		publish(kind, data)
	}
}

func main() {
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/all", all)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, nil))
}
