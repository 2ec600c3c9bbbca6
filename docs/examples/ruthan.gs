/**
 * ตรวจข้อความใน Google Sheets ด้วยบริการ ruthan: พิมพ์ =RUTHAN(A2:A50) แล้วจะได้ผลสามคอลัมน์ คือ ควรทำอย่างไร เข้าข่ายใด และเพราะอะไร
 *
 * Judges messages in Google Sheets: =RUTHAN(A2:A50) gives three columns: action, label, reasons.
 *
 * ติดตั้ง (to install): Extensions > Apps Script, paste this file; Project Settings > Script Properties, add
 *   RUTHAN_URL  https://ruthan.example    (Google has to reach it: a public address, with a key)
 *   RUTHAN_KEY  rtk_…                     (a key with the scope scan; never write it into a cell or into this file)
 *
 * ข้อความจะถูกส่งผ่านเครื่องของ Google ใช้เฉพาะเมื่อองค์กรของท่านอนุญาต
 */

var MOST_AT_ONCE = 50; // a custom function has 30 seconds
var ATTEMPTS = 4;

/**
 * @param {A2:A50} texts cells with one message each
 * @return action, label and reasons, one row a cell
 * @customfunction
 */
function RUTHAN(texts) {
  var rows = Array.isArray(texts) ? texts : [[texts]];
  var messages = rows.map(function (row) {
    return { text: String(row[0]) };
  });
  var results = [];
  for (var at = 0; at < messages.length; at += MOST_AT_ONCE) {
    results = results.concat(ruthan_("/v1/scan/batch", { messages: messages.slice(at, at + MOST_AT_ONCE) }).results);
  }
  return results.map(function (result, index) {
    if (!messages[index].text.trim()) return ["", "", ""];
    if (result.error) return ["error", "", result.error];
    return [result.action, result.label, result.reasons.join(" ")];
  });
}

/** Calls the service; a name that ends in _ cannot be called from a cell. */
function ruthan_(path, body) {
  var properties = PropertiesService.getScriptProperties();
  for (var attempt = 1; ; attempt++) {
    var reply = UrlFetchApp.fetch(properties.getProperty("RUTHAN_URL") + path, {
      method: "post",
      contentType: "application/json",
      headers: { Authorization: "Bearer " + properties.getProperty("RUTHAN_KEY") },
      payload: JSON.stringify(body),
      followRedirects: false,
      muteHttpExceptions: true,
    });
    var status = reply.getResponseCode();
    if (status === 200) return JSON.parse(reply.getContentText());
    if ([429, 502, 503, 504].indexOf(status) < 0 || attempt === ATTEMPTS) {
      var problem = {};
      try {
        problem = JSON.parse(reply.getContentText());
      } catch (error) {
        // something between answered
      }
      throw new Error("ruthan: " + (problem.detail || "HTTP " + status));
    }
    Utilities.sleep(1000 * Math.min(5, Number(reply.getHeaders()["Retry-After"]) || attempt));
  }
}
