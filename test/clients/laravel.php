<?php
// What examples/stream/StreamBroadcaster.php needs of Laravel, and no more, so that
// it can be run without it:
//   php laravel.php REDIS_PORT PARTITIONS EVENT DATA CHANNEL...

namespace Illuminate\Support {
    class Arr
    {
        public static function pull(&$array, $key)
        {
            $value = $array[$key] ?? null;
            unset($array[$key]);

            return $value;
        }
    }
}

namespace Illuminate\Broadcasting {
    class BroadcastException extends \RuntimeException
    {
    }
}

namespace Illuminate\Broadcasting\Broadcasters {
    abstract class RedisBroadcaster
    {
        public function __construct(protected $redis, protected $connection = null)
        {
        }

        protected function formatChannels(array $channels)
        {
            return array_map(strval(...), $channels);
        }
    }
}

namespace {
    require __DIR__.'/../../examples/stream/StreamBroadcaster.php';

    [, $port, $partitions, $event, $data] = $argv;

    // Laravel's connection, and what gives it out by its name.
    $redis = new class((int) $port) {
        private Redis $client;

        public function __construct(int $port)
        {
            $this->client = new Redis();
            $this->client->connect('127.0.0.1', $port);
        }

        public function connection($name)
        {
            return $this;
        }

        public function eval($script, $numberOfKeys, ...$arguments)
        {
            return $this->client->eval($script, $arguments, $numberOfKeys);
        }
    };
    $broadcaster = new App\Broadcasting\StreamBroadcaster($redis, 'broadcastd', 'app-id', (int) $partitions);
    $broadcaster->broadcast(array_slice($argv, 5), $event, json_decode($data, true));
}
