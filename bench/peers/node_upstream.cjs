// What /fanout asks, over kept connections: for Node and Fastify.
'use strict';
const http = require('node:http');

const agent = new http.Agent({ keepAlive: true, maxSockets: 4096, maxFreeSockets: 4096 });

exports.ask = i => new Promise((resolve, reject) => {
  http.get(`${process.env.UPSTREAM}/up?i=${i}`, { agent }, res => {
    let text = '';
    res.setEncoding('utf8');
    res.on('data', piece => { text += piece; });
    res.on('end', () => resolve(JSON.parse(text)));
  }).on('error', reject);
});
