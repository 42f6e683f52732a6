--- How often things are done, in seconds.
return {
  poll = 1, -- a full look into each queue
  beat = 10, -- heartbeats of a worker
  lost = 60, -- after which one without them is lost
  sweep = 60, -- finished jobs and keys whose time is over are deleted
  clean_up = 3, -- that jobs have for their clean-up when a worker stops
  leave = 6, -- that a worker tries to give its jobs back when it stops
}
