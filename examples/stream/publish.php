<?php
// Adds an event to broadcastd's log in Redis, with the extension phpredis:
//   php publish.php CHANNEL EVENT DATA [SOCKET_ID]
// DATA is JSON; SOCKET_ID is a connection that doesn't get it.

declare(strict_types=1);

final class Log
{
    public function __construct(
        private readonly Redis $redis,
        private readonly string $app,
        private readonly string $prefix = 'broadcastd:',
        private readonly int $partitions = 1,
    ) {
    }

    /** Returns the event's id; once it does, Redis has the event. */
    public function add(string $channel, string $event, mixed $data, ?string $socket = null): string
    {
        $partition = crc32($channel) % $this->partitions;
        $fields = [
            'channel' => $channel,
            'event' => $event,
            'data' => json_encode($data, JSON_THROW_ON_ERROR),
        ] + ($socket === null ? [] : ['socket' => $socket]);
        $this->redis->clearLastError();
        $id = $this->redis->xAdd("{$this->prefix}{{$this->app}:$partition}:log", '*', $fields);

        // phpredis doesn't throw what Redis refuses.
        return is_string($id) ? $id : throw new RuntimeException(
            "Redis did not keep the event $event: " . $this->redis->getLastError());
    }
}

[, $channel, $event, $data] = $argv;
$at = parse_url(getenv('REDIS_URL') ?: 'redis://127.0.0.1:6379');
$redis = new Redis();
$redis->connect($at['host'], $at['port'] ?? 6379, 3);
if (isset($at['pass'])) {
    $redis->auth(array_map(rawurldecode(...), array_values(array_filter([$at['user'] ?? '', $at['pass']]))));
}
$log = new Log($redis, getenv('APP_ID') ?: 'app-id', getenv('PREFIX') ?: 'broadcastd:', (int) (getenv('PARTITIONS') ?: 1));
echo $log->add($channel, $event, json_decode($data, flags: JSON_THROW_ON_ERROR), $argv[4] ?? null), "\n";
