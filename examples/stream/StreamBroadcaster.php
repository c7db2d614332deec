<?php

namespace App\Broadcasting;

use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Broadcasting\Broadcasters\RedisBroadcaster;
use Illuminate\Support\Arr;

/** Adds events to broadcastd's log in Redis, where they wait while broadcastd is away. */
class StreamBroadcaster extends RedisBroadcaster
{
    private const ADD = <<<'LUA'
        for i = 4, #ARGV do
            redis.call('XADD', KEYS[1], '*', 'channel', ARGV[i], 'event', ARGV[1], 'data', ARGV[2], 'socket', ARGV[3])
        end
        return #ARGV - 3
        LUA;

    public function __construct($redis, $connection, private string $app, private int $partitions = 1)
    {
        parent::__construct($redis, $connection);
    }

    public function broadcast(array $channels, $event, array $payload = [])
    {
        $socket = Arr::pull($payload, 'socket') ?? '';
        $data = json_encode($payload, JSON_THROW_ON_ERROR);
        $logs = [];
        foreach ($this->formatChannels($channels) as $channel) {
            $logs[crc32($channel) % $this->partitions][] = $channel;
        }
        foreach ($logs as $partition => $names) {
            $key = "broadcastd:{{$this->app}:$partition}:log";
            // phpredis doesn't throw what Redis refuses, but returns false.
            $this->redis->connection($this->connection)->eval(self::ADD, 1, $key, $event, $data, $socket, ...$names)
                ?: throw new BroadcastException("Redis did not keep the event $event");
        }
    }
}
