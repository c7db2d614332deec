// pusher-js is published for <script> and for bundlers, not as a module; with
// a bundler this file is not needed.
import '/node_modules/pusher-js/dist/web/pusher.js';

export default window.Pusher;
